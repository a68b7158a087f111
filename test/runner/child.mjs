// Child processes with a time limit, their output in a file.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const outDir = path.join(root, 'test/.out');
export const onWindows = process.platform === 'win32';

export class StepFailed extends Error {
  constructor(message, { log, counts } = {}) {
    super(message);
    this.log = log;
    this.counts = counts;
  }
}

const running = new Set();
const stopAll = () => {
  for (const child of running) stop(child);
};
process.on('exit', stopAll);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(signal === 'SIGINT' ? 130 : 143));

/** Ends a child and everything it has started. */
function stop(child) {
  try {
    if (onWindows) spawn('taskkill', ['/pid', String(child.pid), '/t', '/f']);
    else process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has already ended.
  }
}

/** The log file of a step. */
export function logOf(name) {
  return path.join(outDir, `${name.replace(/[^\w.-]+/g, '-')}.log`);
}

/**
 * Runs a program to its end, its output appended to `log`. Resolves to { code, signal, timedOut,
 * text }; `text` is its whole output.
 */
export async function run(command, args, { log, minutes = 5, env = {}, cwd = root, input } = {}) {
  const fd = openSync(log, 'w');
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: [input === undefined ? 'ignore' : 'pipe', fd, fd],
    detached: !onWindows, // a group of its own, so that it can be ended with all it started
    shell: onWindows && /^(npm|npx)$/.test(command),
  });
  running.add(child);
  if (input !== undefined) child.stdin.end(input);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    stop(child);
  }, minutes * 60_000);
  const end = await new Promise((resolve) => {
    child.on('error', (error) => resolve({ code: null, signal: null, error }));
    child.on('exit', (code, signal) => resolve({ code, signal }));
  });
  clearTimeout(timer);
  // Processes that it left behind would disturb the next step.
  stop(child);
  running.delete(child);
  closeSync(fd);
  return { ...end, timedOut, text: readFileSync(log, 'utf8') };
}

/** As `run`, but anything other than status 0 is a failed step. */
export async function must(command, args, options) {
  const end = await run(command, args, options);
  const shown = `${path.basename(command)} ${args.slice(0, 3).join(' ')}`;
  if (end.error) throw new StepFailed(`${shown}: ${end.error.message}`, { log: options.log });
  if (end.timedOut) throw new StepFailed(`${shown}: stopped after ${options.minutes ?? 5} minutes`, { log: options.log });
  if (end.code !== 0) throw new StepFailed(`${shown}: status ${end.code ?? end.signal}, full output in ${path.relative(root, options.log)}`, { log: options.log });
  return end.text;
}
