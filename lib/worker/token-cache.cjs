"use strict";
module.exports = require("../merged.cjs")("worker/token-cache.cjs");
