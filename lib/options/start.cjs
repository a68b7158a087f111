"use strict";
module.exports = require("../merged-serving.cjs")("options/start.cjs");
