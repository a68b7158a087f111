"use strict";
module.exports = require("../merged.cjs")("api/sending.cjs");
