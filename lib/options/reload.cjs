"use strict";
module.exports = require("../merged-serving.cjs")("options/reload.cjs");
