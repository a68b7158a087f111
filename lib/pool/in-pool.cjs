"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
const copies_cjs_1 = require("../native/copies.cjs");
const report_cjs_1 = require("../report.cjs");
// Imported by the entry of the pool's threads before anything else, so that all other modules know
// that they run in a pool.
(0, copies_cjs_1.enterPool)((text) => report_cjs_1.warnings.emit(text));
