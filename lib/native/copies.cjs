"use strict";
module.exports = require("../merged.cjs")("native/copies.cjs");
