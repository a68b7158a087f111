// Installs packed packages into an empty folder, as a user would, and runs the chat of the example
// from there: two clients talk in it.
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const windows = process.platform === 'win32';
const DEADLINE = 30_000;

/**
 * Installs `archives` into `folder`, which must not exist. Nothing comes from a registry. The last
 * archive is the main package, which is imported as `name` even if it has a scope.
 */
export function installPacked(folder, archives, name = 'wsbroker') {
  mkdirSync(folder, { recursive: true });
  const main = archives.at(-1);
  const manifest = { private: true, dependencies: { [name]: `file:${main}` } };
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify(manifest));
  const args = ['install', '--offline', '--no-audit', '--no-fund', '--no-package-lock', ...archives.slice(0, -1)];
  const { status, stdout, stderr, error } = spawnSync('npm', args, { cwd: folder, encoding: 'utf8', shell: windows });
  if (status !== 0) throw new Error(`npm ${args.join(' ')} failed in ${folder}: ${error?.message ?? `${stdout}\n${stderr}`}`);
  return path.join(folder, 'node_modules', name);
}

/** Runs the packed chat and lets two clients talk. Resolves to what the second one has heard. */
export async function tryChat(installed, { runtime = process.execPath, WebSocket = globalThis.WebSocket } = {}) {
  const script = path.join(installed, 'example/chat/server.mjs');
  const { WSBROKER_BINARY: _, ...env } = process.env;
  const child = spawn(runtime, [script], { env: { ...env, HOST: '127.0.0.1', PORT: '0' }, stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)));
  try {
    const url = await address(child, exited);
    const page = await fetch(url, { signal: AbortSignal.timeout(DEADLINE) });
    if (page.status !== 200) throw new Error(`the page of the chat answers ${page.status}`);
    const { connect } = await clientOf(installed, WebSocket);
    const [one, two] = await Promise.all(['Ada', 'Grace'].map((who) => guest(connect, url, who)));
    await within(one.say('hello from the package'), 'the chat does not take what is said');
    const heard = await two.hears('hello from the package');
    one.close();
    two.close();
    child.kill('SIGTERM');
    const end = await within(exited, 'the chat has not ended after SIGTERM');
    if (end !== 0 && !windows) throw new Error(`the chat ended with ${end}`);
    return heard;
  } finally {
    child.kill('SIGKILL');
  }
}

function address(child, exited) {
  let said = '';
  const found = new Promise((resolve, reject) => {
    const look = (chunk) => {
      said += chunk;
      const match = /https?:\/\/127\.0\.0\.1:\d+/.exec(said);
      if (match) resolve(match[0]);
    };
    child.stdout.on('data', look);
    child.stderr.on('data', look);
    child.once('error', reject);
    exited.then((end) => reject(new Error(`the chat ended with ${end}:\n${said}`)));
  });
  return within(found, 'the chat does not say its address');
}

/** The client of the installed package, also in versions of Node that have no WebSocket. */
async function clientOf(installed, WebSocket) {
  globalThis.WebSocket ??= WebSocket;
  return import(pathToFileURL(path.join(installed, 'lib/client.mjs')).href);
}

/** Somebody who is in the lobby. */
async function guest(connect, url, name) {
  const heard = [];
  let notify = () => undefined;
  const client = connect(url, { token: () => JSON.stringify({ session: randomBytes(16).toString('hex'), name }) });
  const hears = (text) =>
    within(new Promise((resolve) => {
      notify = () => {
        const found = heard.find((one) => one.includes(text));
        if (found !== undefined) resolve(found);
      };
      notify();
    }), () => `${name} does not hear ${JSON.stringify(text)}, but ${heard.join(' ')}`);
  const inLobby = ['here:lobby', 'room:lobby'].map((channel) => new Promise((resolve, reject) => {
    client.subscribe(channel, {
      getState: () => resolve(),
      onMessage({ data }) {
        heard.push(data);
        notify();
      },
      onEnd: (reason) => reject(new Error(`the chat refuses ${channel}: ${reason}`)),
    });
  }));
  await within(Promise.all(inLobby), `${name} is not in the lobby`);
  return { hears, say: (text) => client.publish('room:lobby', text), close: () => client.close() };
}

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${DEADLINE} ms: ${typeof what === 'function' ? what() : what}`)), DEADLINE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
