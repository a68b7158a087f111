"use strict";
module.exports = require("../merged-serving.cjs")("server/keep-alive.cjs");
