"use strict";
module.exports = require("../merged.cjs")("worker/own-functions.cjs");
