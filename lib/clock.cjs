"use strict";
module.exports = require("./merged.cjs")("clock.cjs");
