"use strict";
module.exports = require("./merged.cjs")("report.cjs");
