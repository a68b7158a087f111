"use strict";
module.exports = require("../merged.cjs")("worker/handlers.cjs");
