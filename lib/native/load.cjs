"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.native = void 0;
const node_fs_1 = require("node:fs");
const node_path_1 = require("node:path");
const node_util_1 = require("node:util");
const errors_cjs_1 = require("../errors.cjs");
const package_folders_cjs_1 = require("../package-folders.cjs");
const copies_cjs_1 = require("./copies.cjs");
const packages = require("./packages.cjs");
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
 * package for this platform, if package.json names it.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_BINARY, with every path that was tried and what to do
 */
function load() {
    const target = (0, target_cjs_1.platformTarget)();
    const source = packages.addons[target];
    const failures = { tried: [], errors: [] };
    const named = process.env['WSBROKER_BINARY'] || undefined;
    const found = named !== undefined
        ? fromFile((0, node_path_1.resolve)(named), failures)
        : (builtHere((0, node_path_1.join)(package_folders_cjs_1.LIB, `wsbroker.${target}.node`), source, failures) ??
            fromPackage(source, failures));
    if (found !== undefined)
        return found;
    const cause = failures.errors[0];
    const tried = failures.tried.map((line) => `  - ${line}\n`).join('');
    throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_BINARY', `no addon for ${target} could be loaded. Tried:\n${tried}${advice(target, named, failures)}`, cause === undefined ? undefined : { cause });
}
function fromFile(path, failures) {
    if (mayBeRead(path, failures)) {
        if ((0, node_fs_1.existsSync)(path))
            return found(attempt(path), path, path, failures);
        failures.tried.push(`${path}: no such file`);
    }
    return undefined;
}
/** In a bundle, the addon has another path than `path`, which `source` knows. */
function builtHere(path, source, failures) {
    if (source === undefined)
        return fromFile(path, failures);
    if (!mayBeRead(path, failures))
        return undefined;
    const result = source.built();
    if ('error' in result && codeOf(result.error) === 'MODULE_NOT_FOUND' && !(0, node_fs_1.existsSync)(path)) {
        failures.tried.push(`${path}: no such file`);
        return undefined;
    }
    return found(result, path, path, failures);
}
function fromPackage(source, failures) {
    const { package: name, installed, manifest } = source ?? {};
    if (name === undefined || installed === undefined || manifest === undefined) {
        failures.tried.push(`no package for this platform is named by ${packages.name}`);
        return undefined;
    }
    const its = manifest();
    if ('error' in its)
        return found(its, name, `package ${name}`, failures);
    const version = String(its.value?.version);
    if (version === packages.version) {
        return found(installed(), resolved(name) ?? name, `package ${name}`, failures);
    }
    failures.otherVersion = version;
    failures.tried.push(`package ${name}: its version is ${version}, that of ${packages.name} is ${packages.version}`);
    return undefined;
}
/** A file that may not be read looks as if it did not exist. */
function mayBeRead(path, failures) {
    if (permission?.has('fs.read', path) !== false)
        return true;
    failures.tried.push(`${path}: Node's permission model does not permit reading it`);
    return false;
}
function attempt(path) {
    try {
        return { value: require(path) };
    }
    catch (error) {
        if (codeOf(error) !== 'ERR_UNKNOWN_BUILTIN_MODULE')
            return { error };
    }
    // A single executable application, where `require` knows only what is built in.
    try {
        const module = { exports: {} };
        process.dlopen(module, path);
        return { value: module.exports };
    }
    catch (error) {
        return { error };
    }
}
function found(result, file, what, failures) {
    if ('value' in result)
        return { addon: result.value, file };
    const missing = codeOf(result.error) === 'MODULE_NOT_FOUND';
    if (!missing)
        failures.errors.push(result.error);
    failures.tried.push(`${what}: ${missing ? 'not installed' : firstLine(result.error)}`);
    return undefined;
}
/** Where a package is, if it is installed. */
function resolved(name) {
    try {
        return require.resolve(name);
    }
    catch {
        return undefined;
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
    const { name, version, addons } = packages;
    const bun = process.versions['bun'] !== undefined;
    if (otherVersion !== undefined) {
        return (`${name} and its package for this platform must have the same version. Run: ` +
            `${bun ? 'bun add' : 'npm install'} ${name}@${version}\nIf that does not help, delete ` +
            'node_modules and the lock file, and install again');
    }
    const own = addons[target]?.package;
    if (own !== undefined && errors.length === 0) {
        const other = Object.values(addons)
            .map((source) => source?.package)
            .find((one) => one !== undefined && resolved(`${one}/package.json`) !== undefined);
        const why = other === undefined
            ? `${own} is an optional dependency of ${name}, and optional dependencies were not ` +
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
