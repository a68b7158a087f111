"use strict";
module.exports = require("../merged.cjs")("api/observation.cjs");
