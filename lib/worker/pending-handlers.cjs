"use strict";
module.exports = require("../merged.cjs")("worker/pending-handlers.cjs");
