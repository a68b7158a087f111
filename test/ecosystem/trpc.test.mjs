// tRPC, by its handler of connections and its own client.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createTRPCClient, createWSClient, wsLink } from '@trpc/client';
import WebSocket from 'ws';

import { launch, within } from '../e2e/harness.mjs';

const workerPath = path.join(path.dirname(fileURLToPath(import.meta.url)), 'workers/trpc.mjs');

async function serve(t, threads) {
  const server = await launch(t, { start: false });
  await server.start({ workerPath, threads });
  return (user) => {
    const client = createWSClient({ url: `${server.url}/?user=${user}`, WebSocket, retryDelayMs: () => 60_000 });
    t.after(() => client.close());
    return createTRPCClient({ links: [wsLink({ client })] });
  };
}

test('queries, errors and subscriptions arrive', async (t) => {
  const ada = (await serve(t, 1))('ada');
  assert.equal(await within(ada.who.query(), 'an answer'), 'ada');
  await assert.rejects(within(ada.fail.mutate(), 'an answer'), /on purpose/);
  const counted = [];
  await within(new Promise((resolve, reject) => {
    ada.count.subscribe(undefined, { onData: (number) => counted.push(number), onComplete: resolve, onError: reject });
  }), 'the end of the subscription');
  assert.deepEqual(counted, [1, 2, 3]);
});

test('each client has its context, on two workers', async (t) => {
  const connect = await serve(t, 2);
  const [ada, bob] = [connect('ada'), connect('bob')];
  assert.deepEqual([await ada.who.query(), await bob.who.query()], ['ada', 'bob']);
  assert.notEqual(await ada.thread.query(), await bob.thread.query());
});
