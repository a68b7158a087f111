"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.top = void 0;
const node_util_1 = require("node:util");
const command_cjs_1 = require("../command.cjs");
const interval_cjs_1 = require("./interval.cjs");
const screen_cjs_1 = require("./screen.cjs");
const scrape_cjs_1 = require("./scrape.cjs");
const view_cjs_1 = require("./view.cjs");
// `wsbroker top`: what a server does, in the terminal.
/** The command. */
exports.top = {
    usage: 'URL [--interval SECONDS] [--once]',
    summary: 'shows connections, traffic, latency, slow sockets, workers and I/O threads of a server',
    details: [
        'URL is where the server answers with its metrics, such as http://127.0.0.1:8080/metrics. It',
        "needs the option answers: { '/metrics': 'metrics' }. Without a path, /metrics is asked for.",
        '',
        '  --interval SECONDS   how often to look, and the time that rates are of; default 2',
        '  --once               write one view to stdout after an interval, and end; this is also what',
        '                       happens where stdout is no terminal',
        '',
        'q ends it.',
    ],
    async run(args) {
        const { url, interval, once } = readArguments(args);
        const first = await (0, scrape_cjs_1.scrape)(url);
        if (once || !process.stdout.isTTY)
            return showOnce(url, interval, first);
        return show(url, interval, first);
    },
};
function readArguments(args) {
    const options = {
        interval: { type: 'string', default: '2' },
        once: { type: 'boolean', default: false },
    };
    let parsed;
    try {
        parsed = (0, node_util_1.parseArgs)({ args: [...args], options, allowPositionals: true });
    }
    catch (error) {
        throw new command_cjs_1.UsageError(error.message);
    }
    const { values, positionals } = parsed;
    const [address, ...more] = positionals;
    if (address === undefined)
        throw new command_cjs_1.UsageError('URL is missing');
    if (more.length > 0)
        throw new command_cjs_1.UsageError(`one URL is enough, got also ${more.join(' ')}`);
    const seconds = Number(values.interval);
    if (!(seconds >= 0.1 && seconds <= 3600)) {
        throw new command_cjs_1.UsageError(`--interval must be from 0.1 to 3600 seconds, got ${values.interval}`);
    }
    return { url: readUrl(address), interval: seconds * 1000, once: values.once };
}
function readUrl(address) {
    const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(address) ? address : `http://${address}`;
    let url;
    try {
        url = new URL(text);
    }
    catch {
        throw new command_cjs_1.UsageError(`URL must be such as http://127.0.0.1:8080/metrics, got ${address}`);
    }
    if (url.protocol !== 'http:' && url.protocol !== 'https:') {
        throw new command_cjs_1.UsageError(`URL must begin with http:// or https://, got ${address}`);
    }
    if (url.pathname === '/')
        url.pathname = '/metrics';
    return url;
}
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
function between(before, now) {
    return new interval_cjs_1.Interval(before.series, now.series, (now.at - before.at) / 1000);
}
async function showOnce(url, interval, first) {
    await pause(interval);
    const lines = (0, view_cjs_1.view)(between(first, await (0, scrape_cjs_1.scrape)(url)), url.href);
    process.stdout.write(`${lines.map(({ text }) => text.trimEnd()).join('\n').trimEnd()}\n`);
    return 0;
}
/** Until a key ends it. A server that does not answer may be back later. */
async function show(url, interval, first) {
    let quit = () => { };
    let running = true;
    const ended = new Promise((resolve) => {
        quit = () => {
            running = false;
            resolve();
        };
    });
    const screen = new screen_cjs_1.Screen(process.stdout, process.stdin, quit);
    process.once('SIGTERM', quit);
    process.once('SIGINT', quit);
    screen.open();
    try {
        let [before, now] = [first, first];
        screen.show([{ text: `${url.href}: wait for the first ${interval / 1000} s`, style: 'plain' }]);
        while (running) {
            await Promise.race([ended, pause(interval)]);
            if (!running)
                break;
            let trouble;
            try {
                [before, now] = [now, await (0, scrape_cjs_1.scrape)(url)];
            }
            catch (error) {
                trouble = error.message;
            }
            if (running)
                screen.show(lines(before, now, url, trouble));
        }
    }
    finally {
        screen.close();
        process.off('SIGTERM', quit);
        process.off('SIGINT', quit);
    }
    return 0;
}
function lines(before, now, url, trouble) {
    if (before !== now)
        return (0, view_cjs_1.view)(between(before, now), url.href, trouble);
    return [{ text: `no new numbers: ${trouble ?? ''}`, style: 'alarm' }];
}
