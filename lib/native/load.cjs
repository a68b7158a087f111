"use strict";
module.exports = require("../merged.cjs")("native/load.cjs");
