"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.registry = void 0;
exports.enterPool = enterPool;
exports.isInPool = isInPool;
exports.registerCopy = registerCopy;
exports.checkSameCopy = checkSameCopy;
exports.setCopyLifecycle = setCopyLifecycle;
exports.otherActiveCopies = otherActiveCopies;
const node_fs_1 = require("node:fs");
const node_path_1 = require("node:path");
const node_worker_threads_1 = require("node:worker_threads");
const errors_cjs_1 = require("../errors.cjs");
const package_folders_cjs_1 = require("../package-folders.cjs");
const report_cjs_1 = require("../report.cjs");
const packages = require("./packages.cjs");
const KEY = 'wsbroker.copies';
const FOLDER = realFolder();
exports.registry = (globalThis[Symbol.for(KEY)] ??= { copies: [] });
/** This thread belongs to the pool of this copy, which gets its warnings. */
function enterPool(warn) {
    exports.registry.pool = FOLDER;
    exports.registry.warn = warn;
}
/** Whether this thread belongs to the pool of some copy. */
function isInPool() {
    return exports.registry.pool !== undefined;
}
/**
 * Makes this copy known to the others. Called as soon as its addon has been found.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_CONFLICT: the thread belongs to the pool of another copy
 * with another broker
 */
function registerCopy(addon) {
    const other = exports.registry.copies.find(({ folder }) => folder !== FOLDER) ?? copyOfParentThread();
    if (other !== undefined && other.folder !== FOLDER) {
        const apart = other.addon !== addon;
        if (exports.registry.pool !== undefined && exports.registry.pool !== FOLDER && apart)
            throw otherCopyError();
        if (exports.registry.warned !== true) {
            exports.registry.warned = true;
            const harm = apart
                ? 'sockets and channels of one are unknown to the other, and what is sent to them is lost'
                : 'handlers and options of one are unknown to the other';
            (exports.registry.warn ?? report_cjs_1.warnOnce)(`two copies of wsbroker are loaded, ${[other.folder, FOLDER].sort().join(' and ')}: ` +
                `${harm}. Make all packages depend on the same version; "npm ls ${packages.name}" ` +
                'shows which package depends on which copy');
        }
    }
    if (copyOfParentThread() === undefined && exports.registry.pool === undefined) {
        (0, node_worker_threads_1.setEnvironmentData)(KEY, { folder: FOLDER, addon });
    }
    self = {
        folder: FOLDER,
        addon,
        isActive: () => lifecycle.isActive(),
        shutdown: (code, timeout) => lifecycle.shutdown(code, timeout),
    };
    // A copy in the same folder is this one before a reload under `bun --hot`: its state is gone, but
    // its server still listens.
    exports.registry.copies = [
        ...exports.registry.copies.filter((one) => one.folder !== FOLDER || one.isActive()),
        self,
    ];
}
/** @throws if the worker module imports another copy than that of its pool */
function checkSameCopy() {
    if (exports.registry.pool !== undefined && exports.registry.pool !== FOLDER)
        throw otherCopyError();
}
function otherCopyError() {
    return new errors_cjs_1.WSBrokerError('ERR_WSBROKER_CONFLICT', `this worker belongs to the wsbroker in ${exports.registry.pool}, but its module imports another ` +
        `copy, in ${FOLDER}: its handlers would never be called. ` +
        `Make both use the same copy; "npm ls ${packages.name}" shows which package depends on ` +
        'which copy');
}
/** The copy that was loaded by the thread that started this one. */
function copyOfParentThread() {
    // Threads of a pool know it from their pool.
    return exports.registry.pool === undefined
        ? (0, node_worker_threads_1.getEnvironmentData)(KEY)
        : undefined;
}
let self;
/** Until the lifecycle is loaded, there is nothing to shut down. */
let lifecycle = {
    isActive: () => false,
    shutdown: async () => ({ closed: 0, terminated: 0 }),
};
/** Sets how this copy is shut down. */
function setCopyLifecycle(own) {
    lifecycle = own;
}
/**
 * Other copies that have something to shut down on this thread. `shutdown` ends them, too, as if
 * there were only one copy.
 */
function otherActiveCopies() {
    return exports.registry.copies.filter((one) => one !== self && one.isActive());
}
function realFolder() {
    try {
        return (0, node_path_1.dirname)((0, node_fs_1.realpathSync)(package_folders_cjs_1.LIB));
    }
    catch {
        return package_folders_cjs_1.ROOT;
    }
}
