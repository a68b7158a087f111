"use strict";
module.exports = require("./merged.cjs")("async-scope.cjs");
