"use strict";
module.exports = require("../merged.cjs")("native/vm-context.cjs");
