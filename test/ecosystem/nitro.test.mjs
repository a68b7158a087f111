// A Nitro application, built by its own tool: sockets of its routes on workers, its pages on the same port.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { launch } from '../e2e/harness.mjs';
import { hearEachOther, open } from './talk.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, '../..');
const workerPath = path.join(here, 'workers/nitro.mjs');
let built;
before(() => {
  // Below the repository, where its build finds its packages.
  mkdirSync(path.join(root, 'test/.cache'), { recursive: true });
  built = mkdtempSync(path.join(root, 'test/.cache/nitro-'));
  cpSync(path.join(here, 'nitro'), built, { recursive: true });
  const cli = path.join(root, 'node_modules/nitro/dist/cli/index.mjs');
  // Always on this Node: what is tested on each runtime is the result.
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, 'build'], { cwd: built, encoding: 'utf8', timeout: 120_000 });
  assert.equal(status, 0, `${stdout}\n${stderr}`);
});
after(() => rmSync(built, { recursive: true, force: true }));

async function serve(t, options) {
  const server = await launch(t, { start: false, env: { BUILT: built } });
  await server.start({ workerPath, ...options });
  return server;
}

test('peers of a route on two workers hear each other', async (t) => {
  await hearEachOther(await serve(t, { threads: 2 }));
});

test('its hook refuses, and pages and unknown routes are no sockets', async (t) => {
  const server = await serve(t, { threads: 1 });
  const { status, body } = await server.refused('/chat');
  assert.deepEqual([status, body], [401, 'who are you?']);
  for (const where of ['/', '/nowhere']) assert.equal((await server.refused(where)).status, 404, where);
});

test('its pages and its sockets share a port', async (t) => {
  const server = await launch(t, { start: false, env: { BUILT: built } });
  server.at = await server.main(async (wsb, kit, urls, options) => {
    const [{ default: nitro }, { toNodeHandler }] = [await kit.load(urls.nitro), await kit.load(urls.srvx)];
    const { url: at, port } = await wsb.start({ ...options, http: toNodeHandler(nitro.fetch) });
    kit.hold(true);
    return { url: at, port };
  }, {
    nitro: pathToFileURL(path.join(built, '.output/server/index.mjs')).href,
    srvx: import.meta.resolve?.('srvx/node') ?? 'srvx/node',
  }, { bind: '127.0.0.1:0', threads: 1, path: '/chat', workerPath });
  const page = (where) => fetch(`http://127.0.0.1:${server.port}${where}`);
  assert.equal(await (await page('/')).text(), 'a page');
  assert.deepEqual((await (await page('/inside')).json()).hooks, ['close', 'message', 'open', 'upgrade']);
  assert.equal((await open(server, '/chat?user=ada')).welcome.user, 'ada');
});
