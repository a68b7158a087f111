"use strict";
module.exports = require("../merged-serving.cjs")("server/http-server.cjs");
