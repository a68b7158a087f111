"use strict";
module.exports = require("../merged.cjs")("worker/register.cjs");
