"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.ROOT = exports.LIB = void 0;
const node_path_1 = require("node:path");
/** Where the compiled package is: `lib/`, which also holds an addon that was built here. */
exports.LIB = __dirname;
/** The package's folder. */
exports.ROOT = (0, node_path_1.dirname)(exports.LIB);
