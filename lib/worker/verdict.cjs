"use strict";
module.exports = require("../merged.cjs")("worker/verdict.cjs");
