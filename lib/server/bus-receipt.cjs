"use strict";
module.exports = require("../merged.cjs")("server/bus-receipt.cjs");
