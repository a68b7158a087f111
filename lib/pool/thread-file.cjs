"use strict";
module.exports = require("../merged-serving.cjs")("pool/thread-file.cjs");
