"use strict";
module.exports = require("../merged-serving.cjs")("server/watch.cjs");
