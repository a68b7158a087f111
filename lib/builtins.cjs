"use strict";
// Modules of Node that few threads need. Each is loaded by the first call that uses it: together
// they would take a megabyte of every worker.
Object.defineProperty(exports, "__esModule", { value: true });
exports.builtins = void 0;
exports.builtins = {
    get childProcess() {
        return require('node:child_process');
    },
    get crypto() {
        return require('node:crypto');
    },
    get http() {
        return require('node:http');
    },
    get https() {
        return require('node:https');
    },
    get tls() {
        return require('node:tls');
    },
};
