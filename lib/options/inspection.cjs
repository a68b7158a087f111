"use strict";
module.exports = require("../merged.cjs")("options/inspection.cjs");
