"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.threadFile = threadFile;
const node_fs_1 = require("node:fs");
const node_path_1 = require("node:path");
const errors_cjs_1 = require("../errors.cjs");
const package_folders_cjs_1 = require("../package-folders.cjs");
/**
 * The file that the threads of the pool run.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_WORKER_FAILED: it is missing, because a bundle has only its
 * own files
 */
function threadFile() {
    let entry;
    try {
        // Tools that trace files follow this.
        entry = require.resolve('./thread.cjs');
    }
    catch {
        entry = (0, node_path_1.join)(package_folders_cjs_1.LIB, 'thread.cjs');
    }
    // Some bundlers put a number of their own there.
    if (typeof entry === 'string' && (0, node_fs_1.existsSync)(entry))
        return entry;
    throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_WORKER_FAILED', `start: the file that the threads of the pool run, thread.cjs, is missing: wsbroker is in a ` +
        'bundle. Leave it out (with esbuild: --external:wsbroker), or run the handlers on the ' +
        'calling thread (threads: 0)');
}
