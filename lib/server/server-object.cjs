"use strict";
module.exports = require("../merged-serving.cjs")("server/server-object.cjs");
