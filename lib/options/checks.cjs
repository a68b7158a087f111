"use strict";
module.exports = require("../merged.cjs")("options/checks.cjs");
