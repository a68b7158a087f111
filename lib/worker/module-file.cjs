"use strict";
module.exports = require("../merged-serving.cjs")("worker/module-file.cjs");
