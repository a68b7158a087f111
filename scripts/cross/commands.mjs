// Running other programs.
import { spawnSync } from 'node:child_process';

/** The result of a program that has ended, with its output as text. */
export function command(name, args, { env = {}, ...options } = {}) {
  return spawnSync(name, args, { encoding: 'utf8', maxBuffer: 2 ** 26, ...options, env: { ...process.env, ...env } });
}

/** As `command`, but an error unless it succeeded. */
export function must(name, args, options) {
  const done = command(name, args, options);
  if (done.error) throw new Error(`${name} cannot be run: ${done.error.message}`);
  if (done.status !== 0) {
    const said = `${done.stderr ?? ''}${done.stdout ?? ''}`.trim().split('\n').slice(-15).join('\n');
    throw new Error(`${name} ${args.slice(0, 3).join(' ')}: status ${done.status ?? done.signal}\n${said}`);
  }
  return done;
}

export const works = (name, ...args) => command(name, args, { stdio: 'ignore', timeout: 60_000 }).status === 0;
