#!/usr/bin/env node
"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
const program_cjs_1 = require("./program.cjs");
void (0, program_cjs_1.runProgram)(process.argv.slice(2)).then((code) => {
    process.exitCode = code;
});
