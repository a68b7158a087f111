"use strict";
module.exports = require("./merged.cjs")("package-folders.cjs");
