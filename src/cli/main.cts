#!/usr/bin/env node
import { runProgram } from './program.cjs';

void runProgram(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
