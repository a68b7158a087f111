"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.native = void 0;
const node_fs_1 = require("node:fs");
const node_path_1 = require("node:path");
const node_util_1 = require("node:util");
const errors_cjs_1 = require("../errors.cjs");
const package_folders_cjs_1 = require("../package-folders.cjs");
const copies_cjs_1 = require("./copies.cjs");
const target_cjs_1 = require("./target.cjs");
const vm_context_cjs_1 = require("./vm-context.cjs");
/** Node's permission model, if it is on. */
const { permission } = process;
/** Loads the addon, once per thread. */
const { addon, file } = load();
exports.native = (0, vm_context_cjs_1.withErrorsOfThisContext)(addon);
(0, copies_cjs_1.registerCopy)(file);
// What is sent outside of a batch of events, for example in a timer or after an await, is flushed
// at the end of its turn. On Bun, Node-API cannot tell a SharedArrayBuffer from an ArrayBuffer.
const { nextTick } = process;
exports.native.init(() => nextTick(exports.native.settle), process.versions['bun'] === undefined ? undefined : node_util_1.types.isSharedArrayBuffer);
/**
 * Tries, in this order: the file that WSBROKER_BINARY names; an addon that was built here; the
 * package for this platform.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_BINARY, with every path that was tried and what to do
 */
function load() {
    const target = (0, target_cjs_1.platformTarget)();
    const failures = { tried: [], errors: [] };
    const named = process.env['WSBROKER_BINARY'] || undefined;
    const found = named !== undefined
        ? fromFile((0, node_path_1.resolve)(named), failures)
        : (fromFile((0, node_path_1.join)(package_folders_cjs_1.LIB, `wsbroker.${target}.node`), failures) ??
            fromFile((0, node_path_1.join)(package_folders_cjs_1.ROOT, `wsbroker.${target}.node`), failures) ??
            fromPackage(`wsbroker-${target}`, failures));
    if (found !== undefined)
        return found;
    const cause = failures.errors[0];
    const tried = failures.tried.map((line) => `  - ${line}\n`).join('');
    throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_BINARY', `no addon for ${target} could be loaded. Tried:\n${tried}${advice(target, named, failures)}`, cause === undefined ? undefined : { cause });
}
function fromFile(path, failures) {
    // A file that may not be read looks as if it did not exist.
    if (permission?.has('fs.read', path) === false) {
        failures.tried.push(`${path}: Node's permission model does not permit reading it`);
    }
    else if ((0, node_fs_1.existsSync)(path))
        return required(path, path, failures);
    else
        failures.tried.push(`${path}: no such file`);
    return undefined;
}
function fromPackage(name, failures) {
    const [ours, its] = [
        manifest((0, node_path_1.join)(package_folders_cjs_1.ROOT, 'package.json')).version,
        manifest(installed(name)).version,
    ];
    if (ours === undefined || its === undefined || its === ours) {
        return required(name, `package ${name}`, failures);
    }
    failures.otherVersion = its;
    failures.tried.push(`package ${name}: its version is ${its}, that of wsbroker is ${ours}`);
    return undefined;
}
function required(id, what, failures) {
    try {
        return { addon: require(id), file: require.resolve(id) };
    }
    catch (error) {
        const missing = codeOf(error) === 'MODULE_NOT_FOUND';
        if (!missing)
            failures.errors.push(error);
        failures.tried.push(`${what}: ${missing ? 'not installed' : firstLine(error)}`);
        return undefined;
    }
}
function installed(name) {
    try {
        return require.resolve(`${name}/package.json`);
    }
    catch {
        return undefined;
    }
}
function manifest(path) {
    try {
        return path === undefined ? {} : JSON.parse((0, node_fs_1.readFileSync)(path, 'utf8'));
    }
    catch {
        return {};
    }
}
// What to do about it.
function advice(target, named, { tried, errors, otherVersion }) {
    const codes = errors.map(codeOf);
    if (permission !== undefined &&
        (codes.includes('ERR_DLOPEN_DISABLED') ||
            codes.includes('ERR_ACCESS_DENIED') ||
            tried.some((line) => line.includes('permission model')))) {
        const folder = (0, node_path_1.basename)((0, node_path_1.dirname)(package_folders_cjs_1.ROOT)) === 'node_modules' ? (0, node_path_1.dirname)(package_folders_cjs_1.ROOT) : package_folders_cjs_1.ROOT;
        return (`Node's permission model forbids loading it. Run node with --allow-addons, ` +
            `--allow-fs-read=${(0, node_path_1.join)(folder, '*')} and, for worker threads, --allow-worker, in ` +
            'addition to what your own modules need');
    }
    if (codes.includes('ERR_DLOPEN_DISABLED')) {
        return ('wsbroker needs its addon, but --no-addons forbids addons: run Node without that flag, ' +
            'which may also be set in NODE_OPTIONS');
    }
    if (named !== undefined) {
        return ('The environment variable WSBROKER_BINARY names the only file that is tried: correct ' +
            'it, or unset it');
    }
    const { version, optionalDependencies = {} } = manifest((0, node_path_1.join)(package_folders_cjs_1.ROOT, 'package.json'));
    const own = `wsbroker-${target}`;
    const bun = process.versions['bun'] !== undefined;
    if (otherVersion !== undefined) {
        return ('wsbroker and its package for this platform must have the same version. Run: ' +
            `${bun ? 'bun add' : 'npm install'} wsbroker@${version}\nIf that does not help, delete ` +
            'node_modules and the lock file, and install again');
    }
    if (Object.hasOwn(optionalDependencies, own) &&
        errors.length === 0 &&
        !(0, node_fs_1.existsSync)((0, node_path_1.join)(package_folders_cjs_1.ROOT, '.git'))) {
        const other = Object.keys(optionalDependencies).find((name) => installed(name) !== undefined);
        const why = other === undefined
            ? `${own} is an optional dependency of wsbroker, and optional dependencies were not ` +
                'installed (--omit=optional, --no-optional, or a lock file that was made on another ' +
                'platform)'
            : `node_modules holds ${other} instead: it was installed on or for another platform`;
        return (`${why}. Run here: ${bun ? 'bun install' : 'npm install --include=optional'}\nIf that ` +
            'does not install it, delete node_modules and the lock file, and install again');
    }
    return `To build it from source (needs Rust, https://rustup.rs), run:\n  ${buildCommand()}`;
}
/**
 * Works both in a clone and in node_modules, without an install script: npm and Bun skip those of
 * dependencies.
 */
function buildCommand() {
    const script = JSON.stringify((0, node_path_1.join)(package_folders_cjs_1.ROOT, 'scripts', 'build.mjs'));
    return (0, node_fs_1.existsSync)((0, node_path_1.join)(package_folders_cjs_1.ROOT, '.git'))
        ? `npm --prefix ${JSON.stringify(package_folders_cjs_1.ROOT)} run build`
        : `${process.versions['bun'] === undefined ? 'node' : 'bun'} ${script}`;
}
function codeOf(error) {
    return error?.code;
}
function firstLine(error) {
    return (String(error?.message ?? error).split('\n', 1)[0] ?? '');
}
