"use strict";
module.exports = require("../merged-serving.cjs")("server/reload.cjs");
