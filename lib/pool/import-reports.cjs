"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.ImportReports = void 0;
const node_worker_threads_1 = require("node:worker_threads");
const builtins_cjs_1 = require("../builtins.cjs");
/** The files that the threads of a pool have loaded, as they report them. */
class ImportReports {
    /** The name of the channel on which they do. */
    channel = `wsbroker imports ${builtins_cjs_1.builtins.crypto.randomUUID()}`;
    files = new Set();
    /** Called for each file once. */
    onFile;
    #channel;
    constructor() {
        this.#channel = new node_worker_threads_1.BroadcastChannel(this.channel);
        this.#channel.onmessage = (event) => {
            const { data } = event;
            if (this.files.has(data))
                return;
            this.files.add(data);
            this.onFile?.(data);
        };
        this.#channel.unref();
    }
    close() {
        this.#channel.close();
    }
}
exports.ImportReports = ImportReports;
