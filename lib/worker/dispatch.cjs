"use strict";
module.exports = require("../merged.cjs")("worker/dispatch.cjs");
