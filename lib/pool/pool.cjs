"use strict";
module.exports = require("../merged-serving.cjs")("pool/pool.cjs");
