"use strict";
module.exports = require("../merged.cjs")("options/advice.cjs");
