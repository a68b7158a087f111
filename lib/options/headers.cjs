"use strict";
module.exports = require("../merged.cjs")("options/headers.cjs");
