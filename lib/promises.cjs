"use strict";
module.exports = require("./merged.cjs")("promises.cjs");
