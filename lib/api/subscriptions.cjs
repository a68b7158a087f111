"use strict";
module.exports = require("../merged.cjs")("api/subscriptions.cjs");
