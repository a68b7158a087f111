"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.ownFunctions = void 0;
const load_cjs_1 = require("../native/load.cjs");
/**
 * Functions of this package whose names other libraries use for handlers: a module that passes them
 * on means no handler.
 */
exports.ownFunctions = new WeakSet([load_cjs_1.native.close]);
