"use strict";
module.exports = require("../merged.cjs")("server/on-demand.cjs");
