// Real clients against the built addon, each a program of its own that does the same: text, bytes, a large message, compression
// where it can, pings both ways, closing both ways, a subprotocol.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import * as browser from '../browser/chromium.mjs';
import { launch, within } from '../e2e/harness.mjs';
import { findBun, findNode } from '../runner/runtimes.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, '../..');
const program = (name) => path.join(here, 'programs', name);
const MiB = 1 << 20;
const noCargo = spawnSync('cargo', ['--version'], { timeout: 60_000 }).status !== 0;

/** The server: an echo that closes when it is told to, and pings silent clients on `/silent`. */
async function serve(t) {
  const worker = (wsb, kit) => ({
    handleTextMessage(text, id) {
      const close = /^close (\d+) (.*)$/.exec(text);
      if (close) wsb.close(id, Number(close[1]), close[2]);
      else wsb.send(id, text);
    },
    handleBinaryMessage: (bytes, id) => void wsb.send(id, bytes),
    handleClose: (id, token, code, reason) => kit.tell('close', { id, code, reason }),
  });
  const options = { protocols: ['known'], perMessageDeflate: { threshold: 16 }, maxPayload: 8 * MiB, maxBackpressure: 16 * MiB };
  const server = await launch(t, { worker, options });
  await server.start({ ...options, bind: `127.0.0.1:${server.port}`, path: '/silent', idleTimeout: 800 });
  return server;
}

/** Runs a client to its end: what it printed. */
async function visited(command, args) {
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (err += text));
  try {
    const code = await within(new Promise((resolve) => child.on('close', resolve)), `${command} to end`, 90_000, () => `\n${err}`);
    assert.equal(code, 0, err);
  } finally {
    child.kill('SIGKILL');
  }
  return JSON.parse(out);
}

const EXPECTED = {
  protocol: 'known',
  text: true,
  binary: true,
  empty: true,
  compressible: true,
  large: true,
  // A close frame is answered with its code alone.
  closedByUs: { code: 4001, reason: '', wasClean: true },
  closedByServer: { code: 4002, reason: 'go away', wasClean: true },
  alive: true,
  closedWithoutCode: 1005,
};

/** `changed` is where a client tells less or does more: `answer` is how it answers the server's close frame. */
async function judge(server, result, changed = {}) {
  const { deflate = true, answer = [4002, 'go away'], ...expected } = { ...EXPECTED, ...changed };
  const { extensions = '', ...rest } = result;
  if (deflate) assert.match(extensions, /^permessage-deflate/);
  else assert.equal(extensions, '');
  assert.deepEqual(rest, expected);
  // And what handlers have seen of it.
  const closes = [];
  for (let n = 0; n < 3; n++) closes.push(await server.told.next('close'));
  assert.deepEqual(closes.map(({ code, reason }) => [code, reason]), [[4001, 'bye'], answer, [expected.closedWithoutCode, '']]);
}

test('ws', async (t) => {
  const server = await serve(t);
  await judge(server, await visited(process.execPath, [program('ws.mjs'), server.url]), { pong: 'are you there?' });
});

test('undici, as the WebSocket of Node', async (t) => {
  const node = await findNode('26.10.0');
  if (!node.binary) return t.skip(`${node.why}; enable with: ${node.enable}`);
  const server = await serve(t);
  await judge(server, await visited(node.binary, [program('web.mjs'), server.url]), { answer: [4002, ''] });
});

test('Bun', async (t) => {
  const bun = await findBun();
  if (!bun.binary) return t.skip(`${bun.why}; enable with: ${bun.enable}`);
  const server = await serve(t);
  await judge(server, await visited(bun.binary, [program('web.mjs'), server.url]));
});

test('Chromium', { skip: browser.skip }, async (t) => {
  const server = await serve(t);
  const chromium = await browser.launch();
  t.after(() => chromium.close());
  const page = await chromium.newPage();
  const visit = readFileSync(program('web.mjs'), 'utf8').replace(/^export /m, '').split('\nif (globalThis.process')[0];
  await judge(server, await page.evaluate(`(async () => { ${visit}\nreturn visit(${JSON.stringify(server.url)}); })()`));
});

/** A virtual environment of its own for the clients of Python, from PyPI, under test/.cache/; { python } or { why, enable }. */
function python() {
  const wanted = program('requirements.txt');
  const enable = 'apt-get install python3-venv (Python 3.10 or later)';
  const check = 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))';
  if (spawnSync('python3', ['-c', check], { timeout: 60_000 }).status !== 0) return { why: 'no Python 3.10 with venv', enable };
  const venv = path.join(root, 'test/.cache/clients');
  const stamp = path.join(venv, 'installed');
  const hash = createHash('sha256').update(readFileSync(wanted)).digest('hex');
  const binary = path.join(venv, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return { binary };
  rmSync(venv, { recursive: true, force: true });
  mkdirSync(venv, { recursive: true });
  for (const [command, ...args] of [
    ['python3', '-m', 'venv', venv],
    [binary, '-m', 'pip', '-q', 'install', '--only-binary', ':all:', '-r', wanted],
  ]) {
    const { status, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: 300_000 });
    if (status !== 0) return { why: `${command} ${args.slice(0, 3).join(' ')}: ${stderr?.trim().split('\n').at(-1)}`, enable };
  }
  writeFileSync(stamp, hash);
  return { binary };
}

for (const [name, file, changed] of [
  ['websockets for Python', 'with_websockets.py', { pong: 'are you there?', fragments: true, closedWithoutCode: 1000 }],
  ['aiohttp for Python', 'with_aiohttp.py', { pong: 'are you there?', closedWithoutCode: 1000, closedByUs: { code: 4001 }, answer: [1000, ''] }],
]) {
  test(name, async (t) => {
    const { binary, why, enable } = python();
    if (!binary) return t.skip(`${why}; enable with: ${enable}`);
    const server = await serve(t);
    await judge(server, await visited(binary, [program(file), server.url]), changed);
  });
}

test('tungstenite', { skip: noCargo && 'no cargo; enable with: install Rust from https://rustup.rs' }, async (t) => {
  const built = spawnSync('cargo', ['build', '-q', '--locked', '-p', 'wsbroker-core', '--example', 'tungstenite', '--message-format=json'], {
    cwd: root, encoding: 'utf8', timeout: 600_000, maxBuffer: 64 * MiB,
  });
  assert.equal(built.status, 0, built.stderr);
  const binary = built.stdout.split('\n').filter((line) => line.includes('"compiler-artifact"')).map((line) => JSON.parse(line).executable).find(Boolean);
  const server = await serve(t);
  await judge(server, await visited(binary, [server.url]), { pong: 'are you there?', deflate: false });
});
