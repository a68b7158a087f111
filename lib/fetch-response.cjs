"use strict";
module.exports = require("./merged-serving.cjs")("fetch-response.cjs");
