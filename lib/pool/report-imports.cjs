"use strict";
module.exports = require("../merged.cjs")("pool/report-imports.cjs");
