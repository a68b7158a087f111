"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.ROOT = exports.LIB = void 0;
const node_path_1 = require("node:path");
/**
 * Where the compiled package is: `lib/`, which also holds an addon that was built here. In a bundle
 * it is the folder of the bundle; in one that is an ES module, which has no `__dirname`, that of
 * the program.
 */
exports.LIB = typeof __dirname === 'string' ? __dirname : (0, node_path_1.dirname)(process.argv[1] ?? process.execPath);
/** The package's folder. */
exports.ROOT = (0, node_path_1.dirname)(exports.LIB);
