// Hocuspocus with its own provider: editors of one Yjs document.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider';
import WebSocket from 'ws';
import * as Y from 'yjs';

import { launch, until, within } from '../e2e/harness.mjs';
import { startRedis } from '../redis/redis.mjs';

const workerPath = path.join(path.dirname(fileURLToPath(import.meta.url)), 'workers/hocuspocus.mjs');

async function serve(t, threads, redis) {
  const server = await launch(t, { start: false });
  // It ends after the server.
  if (redis) await server.main((wsb, kit, port) => void (process.env.REDIS = port), (await startRedis(t)).port);
  await server.start({ workerPath, threads });
  return server;
}

/** An editor with a connection of its own. */
function editor(t, server, { name = 'notes', token = 'k-123' } = {}) {
  const websocketProvider = new HocuspocusProviderWebsocket({ url: server.url, WebSocketPolyfill: WebSocket });
  const document = new Y.Doc();
  const synced = {};
  synced.promise = new Promise((resolve) => (synced.resolve = resolve));
  const refused = {};
  refused.promise = new Promise((resolve) => (refused.resolve = resolve));
  const provider = new HocuspocusProvider({
    websocketProvider,
    name,
    document,
    token,
    onSynced: synced.resolve,
    onAuthenticationFailed: refused.resolve,
  });
  provider.attach();
  t.after(() => {
    provider.destroy();
    websocketProvider.destroy();
    document.destroy();
  });
  return {
    provider,
    text: document.getText('text'),
    synced: () => within(synced.promise, 'the document', undefined, () => server.note()),
    refused: () => within(refused.promise, 'the refusal', undefined, () => server.note()),
  };
}

async function converge(server, ...editors) {
  const [first, second] = editors;
  first.text.insert(0, 'tea');
  second.text.insert(0, 'hot ');
  await until(() => editors.every(({ text }) => text.length === 7), 'both to have both', undefined, () => `: ${editors.map(({ text }) => text)}${server.note()}`);
  assert.equal(String(first.text), String(second.text));
  assert.match(String(first.text), /^(hot tea|teahot )$/);
}

test('two editors on one worker converge', async (t) => {
  const server = await serve(t, 1);
  const editors = [editor(t, server), editor(t, server)];
  for (const one of editors) await one.synced();
  await converge(server, ...editors);
  const late = editor(t, server);
  await late.synced();
  assert.equal(String(late.text), String(editors[0].text));
});

test('who is not authenticated gets no document', async (t) => {
  const server = await serve(t, 1);
  const [ada, eve] = [editor(t, server), editor(t, server, { token: 'wrong' })];
  await ada.synced();
  ada.text.insert(0, 'secret');
  await eve.refused();
  assert.equal(String(eve.text), '');
});

test('editors see where the others are', async (t) => {
  const server = await serve(t, 1);
  const [ada, bob] = [editor(t, server), editor(t, server)];
  for (const one of [ada, bob]) await one.synced();
  ada.provider.awareness.setLocalStateField('cursor', 3);
  await until(() => [...bob.provider.awareness.getStates().values()].some(({ cursor }) => cursor === 3), "ada's cursor");
});

test('two editors on two workers converge through Redis', async (t) => {
  const server = await serve(t, 2, true);
  const editors = [];
  for (let i = 0; i < 2; i++) {
    editors.push(editor(t, server));
    await editors[i].synced();
  }
  const { workers } = await server.main((wsb) => wsb.stats());
  assert.deepEqual(workers.map(({ connections }) => connections), [1, 1]);
  await converge(server, ...editors);
});
