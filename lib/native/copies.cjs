"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.shared = void 0;
exports.joinPool = joinPool;
exports.isInPool = isInPool;
exports.announce = announce;
exports.checkPool = checkPool;
exports.endBy = endBy;
exports.activeOthers = activeOthers;
const node_fs_1 = require("node:fs");
const node_path_1 = require("node:path");
const node_worker_threads_1 = require("node:worker_threads");
const errors_cjs_1 = require("../errors.cjs");
const package_folders_cjs_1 = require("../package-folders.cjs");
const report_cjs_1 = require("../report.cjs");
const KEY = 'wsbroker.copies';
const FOLDER = realFolder();
exports.shared = (globalThis[Symbol.for(KEY)] ??= { copies: [] });
/** This thread belongs to this copy's pool, which hears its warnings. */
function joinPool(warn) {
    exports.shared.pool = FOLDER;
    exports.shared.warn = warn;
}
/** Whether this thread belongs to the pool of some copy. */
function isInPool() {
    return exports.shared.pool !== undefined;
}
/**
 * Makes this copy known, as soon as its addon has been found.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_CONFLICT: the thread belongs to another copy's pool, and
 * another broker
 */
function announce(addon) {
    const other = exports.shared.copies.find(({ folder }) => folder !== FOLDER) ?? parents();
    if (other !== undefined && other.folder !== FOLDER) {
        const apart = other.addon !== addon;
        if (exports.shared.pool !== undefined && exports.shared.pool !== FOLDER && apart)
            throw foreignPool();
        if (exports.shared.warned !== true) {
            exports.shared.warned = true;
            const harm = apart
                ? 'sockets and channels of one are unknown to the other, and what is sent to them is lost'
                : 'handlers and options of one are unknown to the other';
            (exports.shared.warn ?? report_cjs_1.warnOnce)(`two copies of wsbroker are loaded, ${[other.folder, FOLDER].sort().join(' and ')}: ${harm}. Make everything depend on one version of it; "npm ls wsbroker" shows what depends on which`);
        }
    }
    if (parents() === undefined && exports.shared.pool === undefined)
        (0, node_worker_threads_1.setEnvironmentData)(KEY, { folder: FOLDER, addon });
    self = {
        folder: FOLDER,
        addon,
        isActive: () => life.isActive(),
        shutdown: (code, timeout) => life.shutdown(code, timeout),
    };
    // One in the same folder is this one before a reload under `bun --hot`, which has forgotten it,
    // but its server still listens.
    exports.shared.copies = [...exports.shared.copies.filter((one) => one.folder !== FOLDER || one.isActive()), self];
}
/** A worker module registers with another copy than its pool's. */
function checkPool() {
    if (exports.shared.pool !== undefined && exports.shared.pool !== FOLDER)
        throw foreignPool();
}
function foreignPool() {
    return new errors_cjs_1.WSBrokerError('ERR_WSBROKER_CONFLICT', `this worker belongs to the wsbroker in ${exports.shared.pool}, but its module imports another copy, in ${FOLDER}: handlers and messages would go nowhere. ` +
        'Make both use the same one; "npm ls wsbroker" shows what depends on which');
}
/** The copy loaded by the thread that started this one. */
function parents() {
    // A thread of a pool is told by its pool.
    return exports.shared.pool === undefined
        ? (0, node_worker_threads_1.getEnvironmentData)(KEY)
        : undefined;
}
let self;
/** Until `start` is there to be called, there is nothing to end. */
let life = {
    isActive: () => false,
    shutdown: async () => ({ closed: 0, terminated: 0 }),
};
/** How this copy ends. */
function endBy(own) {
    life = own;
}
/**
 * Other copies that have something to end on this thread: `shutdown` ends them, too, as if there
 * were only one.
 */
function activeOthers() {
    return exports.shared.copies.filter((one) => one !== self && one.isActive());
}
function realFolder() {
    try {
        return (0, node_path_1.dirname)((0, node_fs_1.realpathSync)(package_folders_cjs_1.LIB));
    }
    catch {
        return package_folders_cjs_1.ROOT;
    }
}
