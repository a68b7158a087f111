"use strict";
module.exports = require("./merged.cjs")("errors.cjs");
