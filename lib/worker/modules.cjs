"use strict";
module.exports = require("../merged.cjs")("worker/modules.cjs");
