"use strict";
module.exports = require("../merged.cjs")("api/recovery.cjs");
