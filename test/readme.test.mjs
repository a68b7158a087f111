// The README's programs, as a reader would run them: the package is packed as it was built here, installed into an empty folder, and
// each program is pasted there and run. A program is a fenced block under `<!-- run: NAME FILE -->`; blocks of one
// NAME belong together. Only the port is changed, since 8080 may be taken here.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const readme = readFileSync(path.join(root, 'README.md'), 'utf8');
const DEADLINE = 20_000;
const bun = process.env.BUN || path.join(root, 'node_modules/.bin/bun');
const shell = process.platform === 'win32';

/** { NAME: { FILE: text } } */
const programs = {};
for (const [, name, file, text] of readme.matchAll(/^<!-- run: (\S+) (\S+) -->\n```\w+\n([\s\S]*?)^```$/gm)) {
  (programs[name] ??= {})[file] = text;
}

let folder;
let tarball;
before(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'wsb-readme-'));
  tarball = pack(root);
});
after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

function must(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', timeout: 120_000, shell: shell && command === 'npm', ...options });
  assert.equal(status, 0, `${command} ${args.join(' ')}: ${error?.message ?? ''}\n${stdout}\n${stderr}`);
  return stdout;
}

function pack(where) {
  const [{ filename }] = JSON.parse(must('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], { cwd: where }));
  return path.join(folder, filename);
}

/** The package with the addon that was built here, as a release would publish it. */
function packPlatform() {
  const built = readdirSync(path.join(root, 'lib')).filter((name) => /^wsbroker\..*\.node$/.test(name));
  const targets = built.map((name) => name.split('.')[1]).filter((target) => existsSync(path.join(root, 'platforms', target)));
  const target = targets.find((name) => name.startsWith(`${process.platform}-${process.arch}`));
  assert.ok(target, 'an addon for this platform in lib/: npm run build');
  const copy = path.join(folder, 'platform');
  cpSync(path.join(root, 'platforms', target), copy, { recursive: true });
  copyFileSync(path.join(root, 'lib', `wsbroker.${target}.node`), path.join(copy, `wsbroker.${target}.node`));
  return pack(copy);
}

/** An empty folder with the package installed from its tarball; nothing comes from elsewhere. */
function project(name, archives = [tarball]) {
  const where = path.join(folder, name);
  mkdirSync(where);
  writeFileSync(path.join(where, 'package.json'), '{ "private": true }\n');
  must('npm', ['install', '--offline', '--no-audit', '--no-fund', '--no-package-lock', ...archives], { cwd: where });
  return where;
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Pastes a program and runs it; resolves when it says where it listens. */
async function running(t, name, runtime, entry) {
  assert.ok(programs[name]?.[entry], `README.md has ${entry} of "${name}"`);
  const where = project(`${name}-${path.basename(runtime)}`);
  const port = await freePort();
  for (const [file, text] of Object.entries(programs[name])) writeFileSync(path.join(where, file), text.replaceAll(':8080', `:${port}`));
  const child = spawn(runtime, [entry], { cwd: where, stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  let said = '';
  const exited = new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal })));
  const url = await within(
    new Promise((resolve, reject) => {
      const look = (chunk) => {
        said += chunk;
        const found = /listening on (ws:\S+)/.exec(said)?.[1];
        if (found) resolve(found);
      };
      child.stdout.on('data', look);
      child.stderr.on('data', look);
      void exited.then((end) => reject(new Error(`ended with ${JSON.stringify(end)}:\n${said}`)));
    }),
    () => `${name} to listen:\n${said}`,
  );
  assert.ok(url.startsWith(`ws://127.0.0.1:${port}`), url);
  return { url, child, exited };
}

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${DEADLINE} ms: ${what()}`)), DEADLINE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A client that keeps what it hears. */
async function client(t, url) {
  const ws = new WebSocket(url);
  t.after(() => ws.terminate());
  const heard = [];
  const waiting = [];
  ws.on('message', (data) => {
    heard.push(String(data));
    waiting.shift()?.();
  });
  await within(new Promise((resolve, reject) => ws.on('open', resolve).on('error', reject)), () => `a connection to ${url}`);
  return {
    ws,
    say: (text) => ws.send(text),
    async hear() {
      if (heard.length === 0) await within(new Promise((resolve) => waiting.push(resolve)), () => 'a message');
      return heard.shift();
    },
  };
}

async function everybodyHearsEverybody(t, url) {
  const one = await client(t, url);
  const two = await client(t, url);
  one.say('hello');
  const [first, second] = [await one.hear(), await two.hear()];
  assert.match(first, /^\d+: hello$/);
  assert.equal(first, second);
  two.say('hello yourself');
  assert.match(await one.hear(), /^\d+: hello yourself$/);
}

for (const [name, entry, runtimes] of [
  ['opening', 'chat.mjs', [process.execPath, bun]],
  ['esm', 'server.mjs', [process.execPath, bun]],
  ['cjs', 'server.js', [process.execPath, bun]],
  ['bun', 'server.ts', [bun]],
]) {
  for (const runtime of runtimes) {
    test(`README "${name}" runs on ${path.basename(runtime)} as pasted`, async (t) => {
      const { url } = await running(t, name, runtime, entry);
      await everybodyHearsEverybody(t, url);
    });
  }
}

test('README "token" knows its users, delivers to them, and ends on SIGTERM', { skip: shell && 'no signals' }, async (t) => {
  const { url, child, exited } = await running(t, 'token', process.execPath, 'server.mjs');
  const refused = new WebSocket(url);
  const [response] = await within(new Promise((resolve) => refused.on('unexpected-response', (_, answer) => resolve([answer]))), () => 'a refusal');
  refused.on('error', () => {});
  assert.equal(response.statusCode, 401);
  refused.terminate();
  const ada = await client(t, `${url}?key=k-123`);
  const bob = await client(t, `${url}?key=k-456`);
  ada.say('bob how are you?');
  assert.equal(await bob.hear(), 'ada: how are you?');
  bob.say('eve are you here?');
  assert.equal(await bob.hear(), 'eve is not here');
  child.kill('SIGTERM');
  assert.deepEqual(await within(exited, () => 'the end'), { code: 0, signal: null });
});

test('README "paths" gives each path to its own part', async (t) => {
  const { url } = await running(t, 'paths', process.execPath, 'server.mjs');
  const echo = await client(t, `${url}/echo`);
  echo.say('hello');
  assert.equal(await echo.hear(), 'hello');
  await everybodyHearsEverybody(t, `${url}/chat`);
});

test('every program in the README is run here, and every excerpt of one can be read', () => {
  const handwritten = readme.replace(/<!-- reference:[\s\S]*<!-- end of reference -->/, '');
  const blocks = [...handwritten.matchAll(/^(.*)\n```(?:js|ts)\n([\s\S]*?)^```$/gm)];
  assert.ok(blocks.length > 0);
  for (const [, before, text] of blocks) {
    if (before !== '<!-- excerpt -->') {
      assert.match(before, /^<!-- run: (opening|esm|cjs|bun|token|paths) \S+ -->$/);
      continue;
    }
    // Without imports it can stand in an async function.
    assert.doesNotThrow(() => new Function(`return async () => {\n${text.replace(/^import .*$/gm, '')}\n}`), text);
  }
});

/** As a release has it: the addon is in the package of its platform alone. */
function withoutAddon(where) {
  const lib = path.join(where, 'node_modules/wsbroker/lib');
  for (const name of readdirSync(lib).filter((name) => name.endsWith('.node'))) rmSync(path.join(lib, name));
  return where;
}

test('the addon is found in the package of its platform', () => {
  const where = withoutAddon(project('platforms', [tarball, packPlatform()]));
  must(process.execPath, ['-e', "require('wsbroker').connectionCount()"], { cwd: where });
});

test('without an addon the error names what was tried and the command that builds it', () => {
  const where = withoutAddon(project('bare'));
  const { status, stderr } = spawnSync(process.execPath, ['-e', "require('wsbroker')"], { cwd: where, encoding: 'utf8' });
  assert.notEqual(status, 0);
  assert.match(stderr, /ERR_WSBROKER_BINARY/);
  assert.match(stderr, /package wsbroker-\S+: not installed/);
  const script = /node "([^"]+build\.mjs)"/.exec(stderr)?.[1];
  assert.ok(script && existsSync(script), `the script it names is there:\n${stderr}`);
});

test('the packed sources are whole: cargo understands them', { skip: spawnSync('cargo', ['--version']).status !== 0 && 'no cargo' }, () => {
  const where = project('sources');
  const manifest = path.join(where, 'node_modules/wsbroker/Cargo.toml');
  const { packages } = JSON.parse(must('cargo', ['metadata', '--no-deps', '--offline', '--locked', '--format-version', '1', '--manifest-path', manifest]));
  const missing = packages.flatMap(({ targets }) => targets.map(({ src_path: file }) => file)).filter((file) => !existsSync(file));
  assert.deepEqual(missing, []);
});

test('the package holds what is needed and nothing else', () => {
  const files = JSON.parse(must('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root }))[0].files.map((file) => file.path);
  for (const wanted of ['lib/index.cjs', 'lib/index.mjs', 'lib/index.d.cts', 'lib/index.d.mts', 'README.md', 'LICENSE.txt', 'CHANGELOG.md', 'SECURITY.md', 'docs/limits.md', 'Cargo.lock', 'scripts/build.mjs']) {
    assert.ok(files.includes(wanted), `${wanted} is packed`);
  }
  assert.deepEqual(files.filter((file) => /^test\/|^bench\/|^example\/|^target\/|(^|\/)\./.test(file)), []);
});
