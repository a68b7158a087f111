"use strict";
module.exports = require("../merged.cjs")("worker/load-errors.cjs");
