"use strict";
module.exports = require("../merged-serving.cjs")("pool/import-reports.cjs");
