// The option `worker.watch` and `wsbroker dev`: a change of the module, or of what it imports, reloads the workers.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';

import { launch, packageUrl, runtime, until, within } from './harness.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const esmPackage = JSON.stringify(packageUrl);

/** A worker of three files, each with a word of the answer. */
const FORMATS = {
  mjs: {
    entry: `import { send } from ${esmPackage}; import { near } from './near.mjs'; import far from './deep/far.mjs';
      export const handleTextMessage = (text, id) => { send(id, 'entry1 ' + near + ' ' + far); };`,
    near: "export const near = 'near1';",
    far: "export default 'far1';",
  },
  cjs: {
    entry: `const { send } = require(process.env.WSB_PACKAGE); const { near } = require('./near.cjs'); const far = require('./deep/far.cjs');
      exports.handleTextMessage = (text, id) => { send(id, 'entry1 ' + near + ' ' + far); };`,
    near: "exports.near = 'near1';",
    far: "module.exports = 'far1';",
  },
};

for (const [format, { entry, near, far }] of Object.entries(FORMATS)) {
  test(`a change of any file of the ${format} module reloads it, and nobody is dropped`, async (t) => {
    const server = await launch(t, { start: false });
    await server.main((wsb, kit, folder) => require('node:fs').mkdirSync(folder), path.join(server.folder, 'deep'));
    const files = { entry: `entry.${format}`, near: `near.${format}`, far: `deep/far.${format}` };
    const texts = { entry, near, far };
    for (const [name, file] of Object.entries(files)) server.file(file, texts[name]);
    await server.start({ workerPath: path.join(server.folder, files.entry), threads: 2, worker: { watch: true } });
    const client = await server.connect('', { id: false });
    const ask = async () => {
      client.send('?');
      return client.next();
    };
    assert.equal(await ask(), 'entry1 near1 far1');
    const changed = { entry: '1', near: '1', far: '1' };
    for (const name of ['far', 'near', 'entry']) {
      changed[name] = '2';
      const text = texts[name].replace(`${name}1`, `${name}2`);
      if (name === 'near') {
        // As editors do it.
        server.file('other.tmp', text);
        renameSync(path.join(server.folder, 'other.tmp'), path.join(server.folder, files.near));
      } else {
        server.file(files[name], text);
      }
      const expected = `entry${changed.entry} near${changed.near} far${changed.far}`;
      await until(async () => (await ask()) === expected, expected, undefined, () => server.note());
    }
    assert.match(await server.said(), /far\.[cm]js changed; 2 workers have the new code/);
    // What does not load changes nothing, and what mends it is seen.
    server.file(files.near, 'this is no JavaScript');
    await until(() => /near\.[cm]js changed, but the new code does not load; the old workers keep running/.test(server.stderr), 'it is said', undefined, () => server.note());
    assert.equal(await ask(), 'entry2 near2 far2');
    server.file(files.near, near.replace('near1', 'near3'));
    await until(async () => (await ask()) === 'entry2 near3 far2', 'the mended file', undefined, () => server.note());
    assert.equal(client.ended, undefined);
  });
}

test('a file that is not part of the module reloads nothing', async (t) => {
  const server = await launch(t, { start: false });
  server.file('entry.mjs', FORMATS.mjs.entry.replace(/import { near.*?far.mjs';/, "const near = 'n', far = 'f';"));
  await server.main((wsb, kit, options) => kit.start({ ...options, onWorker: ({ type }) => kit.tell('worker', { event: type }) }), {
    bind: '127.0.0.1:0', threads: 1, workerPath: path.join(server.folder, 'entry.mjs'), worker: { watch: true },
  });
  server.file('notes.txt', 'one');
  server.file('entry.mjs', FORMATS.mjs.entry.replace(/import { near.*?far.mjs';/, "const near = 'n', far = 'g';"));
  await server.told.next('worker', ({ event }) => event === 'stopped');
  assert.equal(server.told.of('worker', ({ event }) => event === 'started').length, 2, 'once, for the change behind it');
  await until(() => server.stderr.includes('entry.mjs changed; 1 worker has the new code'), 'it is said', undefined, () => server.note());
});

test('wsbroker dev serves a module, reloads it, and ends on SIGTERM', { skip: process.platform === 'win32' && 'no SIGTERM on Windows' }, async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'wsb-dev-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'worker.mjs');
  const text = `import { send } from ${esmPackage}; export const handleTextMessage = (text, id) => { send(id, 'one'); };`;
  writeFileSync(file, text);
  const child = spawn(runtime, [path.join(root, 'lib/cli/main.cjs'), 'dev', file, '--bind', '127.0.0.1:0', '--threads', '2'], { cwd: folder });
  t.after(() => child.kill('SIGKILL'));
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk) => (said += chunk));
  const exited = new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal })));
  const [, url] = await until(() => /listening on (\S+)/.exec(said), 'it listens', undefined, () => said);
  const ws = new WebSocket(url);
  await within(new Promise((resolve, reject) => ws.on('open', resolve).on('error', reject)), 'a connection');
  const ask = () => within(new Promise((resolve) => { ws.once('message', (data) => resolve(String(data))); ws.send('?'); }), 'an answer');
  assert.equal(await ask(), 'one');
  writeFileSync(file, text.replace("'one'", "'two'"));
  await until(async () => (await ask()) === 'two', 'the new code', undefined, () => said);
  const closed = new Promise((resolve) => ws.on('close', resolve));
  child.kill('SIGTERM');
  assert.equal(await within(closed, 'a close'), 1012);
  assert.deepEqual(await within(exited, 'the end', undefined, () => said), { code: 0, signal: null });
});

test('wrong arguments of wsbroker dev are named', async () => {
  for (const [args, message] of [
    [[], /the module is missing/],
    [['a.mjs', 'b.mjs'], /one module is expected, got 2/],
    [['a.mjs', '--threads', '0'], /--threads must be an integer of at least 1, got 0/],
    [['a.mjs', '--prt', '1'], /prt/],
  ]) {
    const child = spawn(runtime, [path.join(root, 'lib/cli/main.cjs'), 'dev', ...args]);
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (chunk) => (said += chunk));
    const code = await within(new Promise((resolve) => child.on('close', resolve)), 'the end');
    assert.equal(code, 2, said);
    assert.match(said, message);
    assert.match(said, /usage: wsbroker dev MODULE/);
  }
});
