// Starts an example as its readers do, under the runtime named by WSB_RUNTIME.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const runtime = process.env.WSB_RUNTIME || process.execPath;
const DEADLINE = Number(process.env.WSB_DEADLINE || 15_000);
/** What `stop` resolves to for an example that is well. Windows has no signal that a process could answer. */
export const ENDED = process.platform === 'win32' ? 'SIGTERM' : 0;

/**
 * Runs `script` on free ports and waits for the line with its address.
 *
 * @returns {Promise<{ url: string, ports: { PORT: string, WS_PORT: string }, output: () => string, stop: () => Promise<number | string>, kill: () => Promise<void> }>}
 * `ports` can be given as `env` again, to start it at the same address. `stop` resolves to the exit code, or the signal that was needed.
 * `kill` ends it without a chance to say anything.
 */
export async function startExample(script, env = {}) {
  const child = spawn(runtime, [script], {
    cwd: root,
    env: { ...process.env, HOST: '127.0.0.1', PORT: '0', WS_PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  const exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)));
  const ports = await new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${script} was not ready within ${DEADLINE} ms:\n${said}`));
    }, DEADLINE);
    const look = (chunk) => {
      said += chunk;
      const match = /http:\/\/127\.0\.0\.1:(\d+) \(WebSockets on ports? (\d+)/u.exec(said);
      if (!match) return;
      clearTimeout(late);
      resolve({ PORT: match[1], WS_PORT: match[2] });
    };
    child.stdout.on('data', look);
    child.stderr.on('data', look);
    exited.then((how) => {
      clearTimeout(late);
      reject(new Error(`${script} ended with ${how} before it was ready:\n${said}`));
    });
  });
  return {
    url: `http://127.0.0.1:${ports.PORT}`,
    ports,
    output: () => said,
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
    async stop() {
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), DEADLINE);
      const how = await exited;
      clearTimeout(late);
      return how;
    },
  };
}
