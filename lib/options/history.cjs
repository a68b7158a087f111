"use strict";
module.exports = require("../merged.cjs")("options/history.cjs");
