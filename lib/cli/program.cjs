"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.runProgram = runProgram;
const node_fs_1 = require("node:fs");
const node_path_1 = require("node:path");
const checks_cjs_1 = require("../options/checks.cjs");
const package_folders_cjs_1 = require("../package-folders.cjs");
const command_cjs_1 = require("./command.cjs");
const dev_cjs_1 = require("./dev.cjs");
const top_cjs_1 = require("./top/top.cjs");
/** The commands. A new one is added here. */
const COMMANDS = { dev: dev_cjs_1.dev, top: top_cjs_1.top };
/** Exit codes: what was asked for did not work; it was asked for in a wrong way. */
const FAILED = 1;
const MISUSED = 2;
const print = (...lines) => {
    process.stdout.write(`${lines.join('\n')}\n`);
};
const complain = (...lines) => {
    process.stderr.write(`${lines.join('\n')}\n`);
};
/**
 * Runs the program.
 *
 * @param args what follows the program's name
 * @returns the exit code: 0, 1 for a failure, 2 for wrong arguments
 */
async function runProgram(args, commands = COMMANDS) {
    const [name, ...rest] = args;
    if (name === undefined) {
        complain(...help(commands));
        return MISUSED;
    }
    if (name === '--help' || name === '-h' || name === 'help') {
        return showHelp(commands, rest[0]);
    }
    if (name === '--version' || name === '-v') {
        print(version());
        return 0;
    }
    const command = find(commands, name);
    if (command === undefined)
        return unknown(commands, name);
    if (rest.includes('--help') || rest.includes('-h'))
        return showHelp(commands, name);
    try {
        return await command.run(rest);
    }
    catch (error) {
        const isUsage = error instanceof command_cjs_1.UsageError;
        complain(`wsbroker ${name}: ${error instanceof Error ? error.message : String(error)}`);
        if (isUsage)
            complain(`usage: wsbroker ${name} ${command.usage}`);
        return isUsage ? MISUSED : FAILED;
    }
}
function find(commands, name) {
    return Object.hasOwn(commands, name) ? commands[name] : undefined;
}
function showHelp(commands, name) {
    if (name === undefined) {
        print(...help(commands));
        return 0;
    }
    const command = find(commands, name);
    if (command === undefined)
        return unknown(commands, name);
    print(`usage: wsbroker ${name} ${command.usage}`, '', command.summary, '', ...command.details);
    return 0;
}
function unknown(commands, name) {
    const known = Object.keys(commands);
    const near = (0, checks_cjs_1.mostSimilar)(name, known);
    const what = name.startsWith('-') ? 'option' : 'command';
    const hint = near === undefined
        ? `the commands are: ${known.join(', ')}; "wsbroker --help" explains them`
        : `did you mean "${near}"?`;
    complain(`wsbroker: there is no ${what} "${name}"; ${hint}`);
    return MISUSED;
}
function help(commands) {
    const rows = Object.entries(commands).map(([name, { usage, summary }]) => [`  ${name} ${usage}`, summary]);
    const width = Math.max(0, ...rows.map(([left]) => left.length)) + 3;
    return [
        'usage: wsbroker <command> [arguments]',
        '',
        ...rows.map(([left, summary]) => left.padEnd(width) + summary),
        '',
        '"wsbroker <command> --help" says more about a command; "wsbroker --version" shows the version.',
    ];
}
function version() {
    const own = JSON.parse((0, node_fs_1.readFileSync)((0, node_path_1.join)(package_folders_cjs_1.ROOT, 'package.json'), 'utf8'));
    return own.version;
}
