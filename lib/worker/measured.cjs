"use strict";
module.exports = require("../merged.cjs")("worker/measured.cjs");
