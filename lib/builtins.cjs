"use strict";
module.exports = require("./merged.cjs")("builtins.cjs");
