import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { mostSimilar } from '../options/checks.cjs';
import { ROOT } from '../package-folders.cjs';
import { type Command, UsageError } from './command.cjs';
import { dev } from './dev.cjs';
import { top } from './top/top.cjs';

// The program `wsbroker`: finds the command, and says what there is.

type Commands = Readonly<Record<string, Command>>;

/** The commands. A new one is added here. */
const COMMANDS: Commands = { dev, top };

/** Exit codes: what was asked for did not work; it was asked for in a wrong way. */
const FAILED = 1;
const MISUSED = 2;

const print = (...lines: readonly string[]): void => {
  process.stdout.write(`${lines.join('\n')}\n`);
};

const complain = (...lines: readonly string[]): void => {
  process.stderr.write(`${lines.join('\n')}\n`);
};

/**
 * Runs the program.
 *
 * @param args what follows the program's name
 * @returns the exit code: 0, 1 for a failure, 2 for wrong arguments
 */
export async function runProgram(
  args: readonly string[],
  commands: Commands = COMMANDS,
): Promise<number> {
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
  if (command === undefined) return unknown(commands, name);
  if (rest.includes('--help') || rest.includes('-h')) return showHelp(commands, name);
  try {
    return await command.run(rest);
  } catch (error) {
    const isUsage = error instanceof UsageError;
    complain(`wsbroker ${name}: ${error instanceof Error ? error.message : String(error)}`);
    if (isUsage) complain(`usage: wsbroker ${name} ${command.usage}`);
    return isUsage ? MISUSED : FAILED;
  }
}

function find(commands: Commands, name: string): Command | undefined {
  return Object.hasOwn(commands, name) ? commands[name] : undefined;
}

function showHelp(commands: Commands, name: string | undefined): number {
  if (name === undefined) {
    print(...help(commands));
    return 0;
  }
  const command = find(commands, name);
  if (command === undefined) return unknown(commands, name);
  print(`usage: wsbroker ${name} ${command.usage}`, '', command.summary, '', ...command.details);
  return 0;
}

function unknown(commands: Commands, name: string): number {
  const known = Object.keys(commands);
  const near = mostSimilar(name, known);
  const what = name.startsWith('-') ? 'option' : 'command';
  const hint =
    near === undefined
      ? `the commands are: ${known.join(', ')}; "wsbroker --help" explains them`
      : `did you mean "${near}"?`;
  complain(`wsbroker: there is no ${what} "${name}"; ${hint}`);
  return MISUSED;
}

function help(commands: Commands): string[] {
  const rows = Object.entries(commands).map(
    ([name, { usage, summary }]) => [`  ${name} ${usage}`, summary] as const,
  );
  const width = Math.max(0, ...rows.map(([left]) => left.length)) + 3;
  return [
    'usage: wsbroker <command> [arguments]',
    '',
    ...rows.map(([left, summary]) => left.padEnd(width) + summary),
    '',
    '"wsbroker <command> --help" says more about a command; "wsbroker --version" shows the version.',
  ];
}

function version(): string {
  const own = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  return own.version;
}
