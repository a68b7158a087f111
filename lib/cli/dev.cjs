"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.dev = void 0;
const node_util_1 = require("node:util");
const command_cjs_1 = require("./command.cjs");
/** `wsbroker dev`: a server whose workers are reloaded when their code changes. */
exports.dev = {
    usage: 'MODULE [--bind ADDRESS] [--threads N]',
    summary: 'serves a worker module, and reloads it when it changes, without dropping clients',
    details: [
        '  MODULE           the module with the handlers: JavaScript, or TypeScript where the runtime',
        '                   runs it',
        '  --bind ADDRESS   where to listen, as the option "bind" of start; 127.0.0.1:8080 by default',
        '  --threads N      how many worker threads, 1 by default',
        '',
        'It reloads when the module or a file that it imports changes, except below node_modules. It',
        'does not see files that the code reads by itself. Ctrl+C ends it.',
    ],
    async run(args) {
        const { bind, file, threads } = parse(args);
        // Only now: the other commands need no addon.
        const { shutdown, start } = await import('../index.cjs');
        const server = await start({ bind, workerPath: file, threads, worker: { watch: true } });
        process.stdout.write(`listening on ${server.url}\n`);
        return new Promise((resolve, reject) => {
            const end = () => void shutdown({ code: 1012 }).then(() => resolve(0), reject);
            process.once('SIGINT', end);
            process.once('SIGTERM', end);
        });
    },
};
function parse(args) {
    let parsed;
    try {
        parsed = (0, node_util_1.parseArgs)({
            args: [...args],
            allowPositionals: true,
            options: { bind: { type: 'string' }, threads: { type: 'string' } },
        });
    }
    catch (error) {
        throw new command_cjs_1.UsageError(error.message);
    }
    const { positionals, values } = parsed;
    const [file, more] = positionals;
    if (file === undefined)
        throw new command_cjs_1.UsageError('the module is missing, such as ./worker.mjs');
    if (more !== undefined)
        throw new command_cjs_1.UsageError(`one module is expected, got ${positionals.length}`);
    const threads = values.threads === undefined ? 1 : Number(values.threads);
    if (!Number.isInteger(threads) || threads < 1) {
        throw new command_cjs_1.UsageError(`--threads must be an integer of at least 1, got ${values.threads}`);
    }
    return { bind: values.bind ?? '127.0.0.1:8080', file, threads };
}
