"use strict";
module.exports = require("../merged-serving.cjs")("options/threads.cjs");
