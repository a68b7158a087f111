"use strict";
module.exports = require("../merged.cjs")("native/target.cjs");
