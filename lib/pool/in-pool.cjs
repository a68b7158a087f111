"use strict";
module.exports = require("../merged.cjs")("pool/in-pool.cjs");
