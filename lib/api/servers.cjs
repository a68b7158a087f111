"use strict";
module.exports = require("../merged.cjs")("api/servers.cjs");
