"use strict";
module.exports = require("./merged.cjs")("logger.cjs");
