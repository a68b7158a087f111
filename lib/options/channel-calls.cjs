"use strict";
module.exports = require("../merged.cjs")("options/channel-calls.cjs");
