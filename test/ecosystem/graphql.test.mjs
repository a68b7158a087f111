// graphql-ws, by its adapter for crossws and its own client.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

import { launch, until, within } from '../e2e/harness.mjs';

const workerPath = path.join(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), 'workers/graphql.mjs');

async function serve(t, threads) {
  const server = await launch(t, { start: false });
  await server.start({ workerPath, threads, path: '/graphql' });
  const connect = (connectionParams = { key: 'k-123' }) => {
    const client = createClient({ url: `${server.url}/graphql`, webSocketImpl: WebSocket, connectionParams, lazy: false, retryAttempts: 0, onNonLazyError: () => {} });
    t.after(() => client.dispose());
    return client;
  };
  return { server, connect };
}

/** The first result. */
const ask = (client, query, variables) =>
  within(new Promise((resolve, reject) => {
    client.subscribe({ query, variables }, { next: ({ data, errors }) => (errors ? reject(errors[0]) : resolve(data)), error: reject, complete: () => {} });
  }), query);

test('queries are answered, and their errors', async (t) => {
  const { connect } = await serve(t, 1);
  const client = connect();
  assert.deepEqual(await ask(client, 'query($name: String!) { hello(name: $name) }', { name: 'ada' }), { hello: 'hello ada' });
  await assert.rejects(ask(client, '{ nothing }'), (error) => /Cannot query field "nothing"/.test(error[0]?.message ?? error.message));
});

test('a subscription runs to its end while other operations go on', async (t) => {
  const { connect } = await serve(t, 1);
  const client = connect();
  const counted = [];
  const waiting = client.iterate({ query: 'subscription { news }' });
  const first = waiting.next();
  for await (const { data } of client.iterate({ query: 'subscription { count(to: 3) }' })) counted.push(data.count);
  assert.deepEqual(counted, [1, 2, 3]);
  assert.deepEqual(await ask(client, 'mutation { publish(text: "tea") }'), { publish: true });
  assert.equal((await within(first, 'the news')).value.data.news, 'tea');
  await waiting.return();
});

test('subscriptions on two workers hear what one of them publishes', async (t) => {
  const { connect } = await serve(t, 2);
  const clients = [connect(), connect()];
  const threads = [];
  for (const client of clients) threads.push((await ask(client, '{ thread }')).thread);
  assert.notEqual(threads[0], threads[1]);
  const heard = [[], []];
  clients.forEach((client, i) => client.subscribe({ query: 'subscription { news }' }, { next: ({ data }) => heard[i].push(data.news), error() {}, complete() {} }));
  // A client's operations begin in their order.
  for (const client of clients) await ask(client, '{ thread }');
  await ask(clients[0], 'mutation { publish(text: "from one") }');
  await ask(clients[1], 'mutation { publish(text: "from two") }');
  await until(() => heard.every((texts) => texts.length === 2), 'both to hear both');
  for (const texts of heard) assert.deepEqual(texts.toSorted?.() ?? [...texts].sort(), ['from one', 'from two']);
});

test('a client with wrong parameters is closed by the library', async (t) => {
  const { connect } = await serve(t, 1);
  const client = connect({ key: 'wrong' });
  const closed = within(new Promise((resolve) => client.on('closed', resolve)), 'the close');
  assert.deepEqual([(await closed).code, (await closed).reason], [4403, 'Forbidden']);
});
