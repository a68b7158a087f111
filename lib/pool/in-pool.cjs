"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
const copies_cjs_1 = require("../native/copies.cjs");
const report_cjs_1 = require("../report.cjs");
// Imported by the entry point of a pool's threads before anything else, so that everything loaded
// there knows where it runs.
(0, copies_cjs_1.joinPool)((text) => report_cjs_1.warnings.say(text));
