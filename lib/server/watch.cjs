"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.watchModules = watchModules;
const node_fs_1 = require("node:fs");
const node_path_1 = require("node:path");
const report_cjs_1 = require("../report.cjs");
const reload_cjs_1 = require("./reload.cjs");
const workers_cjs_1 = require("./workers.cjs");
// The option `worker.watch`: the workers are reloaded when a file changes that they have loaded.
/** Editors write in several steps, and tools several files. In milliseconds. */
const QUIET = 100;
/** For handlers of the old code, while somebody waits for the new one. In milliseconds. */
const RELOAD_TIMEOUT = 5_000;
let watched;
/** Watches the modules of the pool there is, if it is to be watched and is not yet. */
function watchModules() {
    const pool = (0, workers_cjs_1.currentPool)();
    const imports = pool?.imports;
    if (pool === undefined || imports === undefined || watched === pool)
        return;
    watched = pool;
    const files = new WatchedFiles((changed) => reloadFor(changed));
    files.add(pool.file);
    for (const file of imports.files)
        files.add(file);
    imports.onFile = (file) => files.add(file);
    pool.onStopped = () => {
        files.close();
        imports.close();
    };
}
async function reloadFor(changed) {
    const names = changed.map((file) => (0, node_path_1.basename)(file)).join(', ');
    try {
        const { started } = await (0, reload_cjs_1.reload)({
            workerPath: undefined,
            threads: undefined,
            timeout: RELOAD_TIMEOUT,
        });
        const workers = started === 1 ? '1 worker has' : `${started} workers have`;
        process.stderr.write(`wsbroker: ${names} changed; ${workers} the new code\n`);
    }
    catch (error) {
        (0, report_cjs_1.reportError)(`${names} changed, but the new code does not load; the old workers keep running`, error);
    }
}
/** Files that are watched through their folders, because editors replace files. */
class WatchedFiles {
    #stamps = new Map();
    #folders = new Map();
    #onChange;
    #timer;
    #busy = false;
    /** @param onChange not called again before its promise has resolved */
    constructor(onChange) {
        this.#onChange = onChange;
    }
    add(file) {
        if (this.#stamps.has(file))
            return;
        this.#stamps.set(file, stamp(file));
        const folder = (0, node_path_1.dirname)(file);
        if (this.#folders.has(folder))
            return;
        try {
            const watcher = (0, node_fs_1.watch)(folder, { persistent: false }, () => this.#look());
            watcher.on('error', (error) => (0, report_cjs_1.reportError)(`${folder} can no longer be watched`, error));
            this.#folders.set(folder, watcher);
        }
        catch (error) {
            (0, report_cjs_1.reportError)(`${folder} cannot be watched`, error);
        }
    }
    close() {
        clearTimeout(this.#timer);
        for (const watcher of this.#folders.values())
            watcher.close();
        this.#folders.clear();
    }
    #look() {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => void this.#changed(), QUIET);
        this.#timer.unref?.();
    }
    async #changed() {
        if (this.#busy)
            return this.#look();
        const changed = [...this.#stamps].filter(([file, before]) => {
            const now = stamp(file);
            // One that is gone is being replaced, and comes back.
            if (now === before || now === '')
                return false;
            this.#stamps.set(file, now);
            return true;
        });
        if (changed.length === 0)
            return;
        this.#busy = true;
        await this.#onChange(changed.map(([file]) => file));
        this.#busy = false;
    }
}
/** Changes with the content. '' if there is no such file. */
function stamp(file) {
    const stats = (0, node_fs_1.statSync)(file, { throwIfNoEntry: false });
    return stats === undefined ? '' : `${stats.mtimeMs} ${stats.size} ${stats.ino}`;
}
