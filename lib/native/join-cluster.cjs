"use strict";
module.exports = require("../merged-serving.cjs")("native/join-cluster.cjs");
