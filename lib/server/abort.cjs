"use strict";
module.exports = require("../merged-serving.cjs")("server/abort.cjs");
