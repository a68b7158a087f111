"use strict";
module.exports = require("../merged.cjs")("api/sockets.cjs");
