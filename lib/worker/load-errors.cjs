"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.readableError = readableError;
exports.explainLoadError = explainLoadError;
const node_path_1 = require("node:path");
const node_url_1 = require("node:url");
const builtins_cjs_1 = require("../builtins.cjs");
// Where the error in a worker module is, and what to do about it. For an ES module, Node shows the
// place only if the error is not caught; Bun puts it into properties of its own.
const onBun = process.versions['bun'] !== undefined;
/** How long the child process that looks for the place may take, in milliseconds. */
const CHILD_TIMEOUT = 5_000;
/**
 * Turns messages of Bun's compiler into a `SyntaxError` that contains them. Other errors stay as
 * they are.
 */
function readableError(error) {
    if (!onBun || typeof error !== 'object' || error === null)
        return error;
    const { errors } = error;
    const messages = (Array.isArray(errors) ? errors : [error]).filter(isBuildMessage);
    if (messages.length === 0)
        return error;
    const text = messages
        .slice(0, 5)
        .map(({ message, position: { file, line, column, lineText } }) => `${message}\n    at ${file}:${line}:${column}\n    ${lineText.slice(0, 200)}`);
    return new SyntaxError(text.join('\n'), { cause: error });
}
function isBuildMessage(value) {
    const { name, position } = value;
    return (name === 'BuildMessage' &&
        typeof position === 'object' &&
        position !== null &&
        typeof position.lineText === 'string');
}
/**
 * More about a module that did not load, on separate lines: where its syntax is wrong, and what to
 * do. '' if there is nothing to add.
 */
async function explainLoadError(file, error) {
    if (typeof error !== 'object' || error === null || onBun)
        return '';
    const { name, code, message, stack } = error;
    if (code === 'ERR_UNKNOWN_FILE_EXTENSION' && /\.[cm]?tsx?\b/.test(String(message))) {
        return `\n${adviceOnTypeScript(file)}`;
    }
    if (code === 'ERR_ACCESS_DENIED')
        return `\n${adviceOnPermission(error)}`;
    if (name !== 'SyntaxError')
        return '';
    const location = locationIn(String(stack)) ??
        (/^ +at (?!.*(?:node:|<anonymous>))/m.test(String(stack)) ? '' : await locationByChild(file));
    if (code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX') {
        return `${location}\nNode only strips types. Compile it to JavaScript. ${adviceOnTsx(file)}`;
    }
    if (/import statement outside a module|Unexpected token 'export'/.test(String(message))) {
        return (`${location}\nNode treats the file as CommonJS: name it .mjs, or set "type": "module" ` +
            'in the nearest package.json.');
    }
    return location;
}
function adviceOnPermission({ permission, resource, }) {
    if (permission === 'WorkerThreads') {
        return ("Node's permission model forbids worker threads: run node with --allow-worker, or " +
            'start with threads: 0.');
    }
    const what = typeof permission === 'string' ? ` (${permission} ${String(resource)})` : '';
    return (`Node's permission model forbids it${what}: allow it with flags such as --allow-fs-read ` +
        'and --allow-fs-write.');
}
function adviceOnTypeScript(file) {
    const jsx = /x$/.test(file);
    const { node } = process.versions;
    const why = jsx
        ? 'Node does not run .tsx'
        : `Node ${node} does not run TypeScript: Node 22.18 and later do, and so does Bun`;
    return `${why}. Compile it to JavaScript. ${adviceOnTsx(file)}`;
}
/** Through a CommonJS file: before Node 22, `node --import tsx` has no effect in worker threads. */
function adviceOnTsx(file) {
    return ('Or use the package tsx: point "workerPath" at a file worker.cjs next to it that holds: ' +
        `require('tsx/cjs'); module.exports = require('./${(0, node_path_1.basename)(file)}');`);
}
/** What V8 writes before the stack: the place, the line, and marks below it. */
function locationIn(text) {
    const [, where, excerpt] = /^((?:file:\/\/|\/|[A-Za-z]:\\).*:\d+)\r?\n((?:.*\r?\n){1,4}?) *\^/m.exec(text) ?? [];
    if (where === undefined || excerpt === undefined)
        return undefined;
    const path = where.startsWith('file:')
        ? `${(0, node_url_1.fileURLToPath)(where.replace(/:\d+$/, ''))}${/:\d+$/.exec(where)?.[0]}`
        : where;
    const marks = /^ *\^+$/m.exec(text.slice(text.indexOf(where)))?.[0] ?? '';
    const lines = [...excerpt.trimEnd().split(/\r?\n/), marks];
    return lines.some((line) => line.length > 200)
        ? `\n    at ${path}`
        : `\n    at ${[path, ...lines].join('\n    ')}`;
}
/**
 * Asks another process, which compiles the module and all that it imports, and exits before it runs
 * any of them: modules run in the order of their imports, and only after all have been compiled.
 */
async function locationByChild(file) {
    const program = `import 'data:text/javascript,process.exit(0)'; import ` +
        `${JSON.stringify((0, node_url_1.pathToFileURL)(file).href)};`;
    const flags = process.execArgv.filter((flag) => /^--(experimental|conditions)\b/.test(flag));
    const said = await new Promise((resolve) => {
        try {
            // Without NODE_OPTIONS, which may contain debuggers and hooks that print something.
            const { NODE_OPTIONS: _, ...env } = process.env;
            const child = builtins_cjs_1.builtins.childProcess.execFile(process.execPath, [...flags, '--input-type=module', '-e', program], { env, timeout: CHILD_TIMEOUT, windowsHide: true }, (_, __, stderr) => resolve(stderr));
            child.on('error', () => resolve(''));
        }
        catch {
            // The permission model forbids child processes.
            resolve('');
        }
    });
    return locationIn(said) ?? `\nTo see where, run: node ${JSON.stringify(file)}`;
}
