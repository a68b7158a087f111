"use strict";
module.exports = require("../merged.cjs")("worker/handler-names.cjs");
