// `defineWebSocketHandler` of h3, which Nitro and Nuxt use.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { launch } from '../e2e/harness.mjs';
import { hearEachOther, open } from './talk.mjs';

const workerPath = path.join(path.dirname(fileURLToPath(import.meta.url)), 'workers/h3.mjs');

async function serve(t, options) {
  const server = await launch(t, { start: false });
  await server.start({ workerPath, ...options });
  return server;
}

test('the router finds the hooks, and peers on two workers hear each other', async (t) => {
  await hearEachOther(await serve(t, { threads: 2 }));
});

test('what the router refuses is refused, and other routes are no sockets', async (t) => {
  const server = await serve(t, { threads: 1 });
  const { status, body } = await server.refused('/members/chat');
  assert.equal(status, 401);
  assert.match(body, /who are you/);
  assert.equal((await open(server, '/members/chat?key=k-123&user=ada')).welcome.namespace, '/members/chat');
  assert.equal((await server.refused('/')).status, 404);
  assert.equal((await server.refused('/nowhere')).status, 404);
});

test('pages and sockets of one application share the port', async (t) => {
  const server = await launch(t, { start: false });
  server.at = await server.main(async (wsb, kit, url, options) => {
    const [{ app }, { toNodeHandler }] = [await kit.load(url), await kit.load(options.h3)];
    const { url: at, port } = await wsb.start({ ...options.start, http: toNodeHandler(app) });
    kit.hold(true);
    return { url: at, port };
  }, pathToFileURL(workerPath).href, { h3: import.meta.resolve?.('h3') ?? 'h3', start: { bind: '127.0.0.1:0', threads: 1, path: '/chat', workerPath } });
  assert.equal(await (await fetch(`http://127.0.0.1:${server.port}/`)).text(), 'a page');
  assert.equal((await open(server, '/chat?user=ada')).welcome.user, 'ada');
});
