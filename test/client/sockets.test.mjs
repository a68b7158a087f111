// wsbroker/client and wsbroker/channels with a network between them that fails. WSB_RUNTIME names
// the runtime of both; without it, one that has a WebSocket is found.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { call, position, publish, serve } from '../e2e/channels-client.mjs';
import { runtime, until, within } from '../e2e/harness.mjs';
import { findNode, NODE_VERSIONS } from '../runner/runtimes.mjs';
import { network } from './network.mjs';

const program = fileURLToPath(new URL('program.mjs', import.meta.url));
const binary = process.env.WSB_RUNTIME || globalThis.WebSocket ? runtime : (await findNode(NODE_VERSIONS.at(-1))).binary;
assert.ok(binary, 'a Node with a WebSocket: npm test installs it');
const CHANNEL = 'chat:1';

/** A client in a process of its own. */
async function start(t, url, haste = 1) {
  const child = spawn(binary, [program, url, `${haste}`], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.once('close', (code, signal) => resolve(signal ?? code)));
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const events = [];
  const answers = new Map();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const event = JSON.parse(line);
    if (event.n === undefined) events.push(event);
    else answers.get(event.n)(event);
  });
  const note = () => `; the last events: ${JSON.stringify(events.slice(-5))}`;
  let count = 0;
  const client = {
    ended,
    events,
    of: (name) => events.filter(({ event }) => event === name),
    /** What the channel's messages were, in order. */
    get heard() {
      return client.of(CHANNEL).map(({ data }) => data);
    },
    say: (what, more) => void child.stdin.write(`${JSON.stringify({ do: what, ...more })}\n`),
    /** Resolves with { value } or { reason, message }. */
    ask(what, more) {
      const n = ++count;
      const answer = new Promise((resolve) => answers.set(n, resolve));
      client.say(what, { n, ...more });
      return within(answer.then(({ n: _, ...rest }) => rest), `an answer to ${what}`, undefined, note);
    },
    until: (probe, what) => until(probe, what, undefined, note),
    /** Resolves when the state has been this so many times. */
    async state(state, times = 1) {
      await client.until(() => client.of('state').filter((one) => one.state === state).length >= times, `${state} (${times})`);
    },
  };
  await client.state('open');
  return client;
}

async function both(t, options) {
  const server = await serve(t, options);
  const net = await network(t, () => server.port);
  return { server, net };
}

/** Subscribed, and the server knows it. */
async function subscribe(server, client, more) {
  client.say('subscribe', { channel: CHANNEL, ...more });
  await server.told.next('authorize', ({ action }) => action === 'subscribe');
  // What is asked after it is answered after it.
  await client.ask('request', { data: 0 });
}

test('everything there is, between two ends that work', async (t) => {
  const { server, net } = await both(t);
  const client = await start(t, net.url);
  const { epoch } = await position(server, CHANNEL);
  await subscribe(server, client);
  assert.deepEqual(await client.ask('publish', { channel: CHANNEL, data: 'é\n', id: 'one' }), { value: { position: { offset: 1, epoch }, duplicate: false } });
  assert.deepEqual(await client.ask('publish', { channel: CHANNEL, data: 'é\n', id: 'one' }), { value: { position: { offset: 1, epoch }, duplicate: true } });
  await client.ask('publish', { channel: CHANNEL, data: [0, 1, 255] });
  await client.until(() => client.heard.length === 2, 'both messages');
  assert.deepEqual(client.of(CHANNEL), [
    { event: CHANNEL, offset: 1, data: 'é\n' },
    { event: CHANNEL, offset: 2, data: [0, 1, 255] },
  ]);
  assert.deepEqual(await client.ask('request', { data: { a: [null, 'b'] } }), { value: { a: [null, 'b'] } });
  assert.equal((await client.ask('publish', { channel: 'elsewhere', data: 'x' })).reason, 'forbidden');
  const [{ id }] = server.told.of('authorize');
  await call(server, 'sendMessage', id, { hi: 1 });
  await client.until(() => client.of('message').length === 1, 'the message');
  assert.deepEqual(client.of('message'), [{ event: 'message', data: { hi: 1 } }]);
  client.say('unsubscribe', { channel: CHANNEL });
  client.say('subscribe', { channel: 'bare:1' });
  await client.until(() => client.of('end').length === 1, 'the refusal of a channel that cannot be subscribed');
  assert.deepEqual(client.of('end'), [{ event: 'end', reason: 'forbidden' }]);
  assert.deepEqual(client.of('error'), []);
  client.say('close');
  assert.equal(await within(client.ended, 'the process ends by itself'), 0);
  assert.equal((await server.told.next('close')).code, 1005);
});

test('a network that is cut again and again costs no message, and gives none twice', async (t) => {
  const { server, net } = await both(t, { options: { history: [{ channels: 'chat:*', size: 10_000, maxReplay: 10_000 }] } });
  const client = await start(t, net.url);
  await subscribe(server, client);
  const sent = [];
  for (let round = 1; round <= 8; round++) {
    for (let one = 0; one < 20; one++) {
      sent.push(`${round}.${one}`);
      await publish(server, CHANNEL, sent.at(-1));
      if (one === 10) net.cut();
    }
    await client.state('open', round + 1);
  }
  await client.until(() => client.heard.at(-1) === sent.at(-1), 'the last message');
  assert.deepEqual(client.heard, sent);
  assert.deepEqual([client.of('lost'), client.of('error')], [[], []]);
});

test('what a client publishes comes once and in order, whatever happens to the network', async (t) => {
  const { server, net } = await both(t, { options: { history: [{ channels: 'chat:*', size: 10_000 }] } });
  const client = await start(t, net.url);
  const calls = [];
  const sent = [];
  for (let round = 1; round <= 6; round++) {
    for (let one = 0; one < 20; one++) {
      sent.push(`${round}.${one}`);
      calls.push(client.ask('publish', { channel: CHANNEL, data: sent.at(-1) }));
    }
    // Somewhere in the middle of it: some have not been sent, some are not answered.
    await calls.at(-15);
    net.cut();
    await client.state('open', round + 1);
  }
  for (const { value, ...failed } of await Promise.all(calls)) assert.ok(value, JSON.stringify(failed));
  const { messages } = await server.main(async (wsb, kit, channel) => {
    const all = await wsb.history(channel, { limit: 1_000 });
    return { messages: all.messages.map(({ data }) => String(data)) };
  }, CHANNEL);
  assert.deepEqual(messages, sent);
});

test('offline: what is written waits, what was said meanwhile comes, and nobody is told of a loss', async (t) => {
  const { server, net } = await both(t);
  const client = await start(t, net.url);
  await subscribe(server, client);
  net.down();
  await client.state('waiting', 2);
  const written = client.ask('publish', { channel: CHANNEL, data: 'written offline' });
  await publish(server, CHANNEL, 'said meanwhile');
  net.up();
  assert.equal((await written).value.duplicate, false);
  await client.until(() => client.heard.length === 2, 'both messages');
  assert.deepEqual(client.heard, ['said meanwhile', 'written offline']);
  assert.deepEqual(client.of('lost'), []);
});

test('a request that was sent is not sent again, and says that it is unknown', async (t) => {
  const { server, net } = await both(t, { more: `handleRequest: (id, data) => { kit.tell('request', { data }); return data === 'slow' ? new Promise(() => {}) : data; },` });
  const client = await start(t, net.url);
  const slow = client.ask('request', { data: 'slow' });
  await server.told.next('request');
  net.cut();
  assert.equal((await slow).reason, 'unknown');
  await client.state('open', 2);
  assert.deepEqual(await client.ask('request', { data: 'next' }), { value: 'next' });
  assert.deepEqual(server.told.of('request').map(({ data }) => data), ['slow', 'next']);
});

test('a server that was killed and comes back has forgotten everything: the client is told, and reads its state first', async (t) => {
  const first = await serve(t);
  let { port } = first;
  const net = await network(t, () => port);
  const client = await start(t, net.url);
  client.say('subscribe', { channel: CHANNEL, state: true });
  await client.until(() => client.of('state read').length === 1, 'the first state');
  await publish(first, CHANNEL, 'old');
  await client.until(() => client.heard.length === 1, 'the old message');
  first.child.kill('SIGKILL');
  await first.exited;
  await client.state('waiting', 2);
  const second = await serve(t);
  await publish(second, CHANNEL, 'before the client is back');
  const now = await position(second, CHANNEL);
  ({ port } = second);
  await client.until(() => client.of('state read').length === 2, 'the second state');
  await publish(second, CHANNEL, 'new');
  await client.until(() => client.heard.length === 2, 'the new message');
  const what = client.events.filter(({ event }) => event !== 'state').map(({ event, data, position: at }) => data ?? `${event} ${at.offset}`);
  assert.deepEqual(what, ['state read 0', 'old', 'lost 1', 'state read 1', 'new']);
  assert.deepEqual(client.of('lost'), [{ event: 'lost', position: now }]);
});

test('a server that drains is come back to when it says, and nothing is lost', async (t) => {
  const { server, net } = await both(t);
  const client = await start(t, net.url);
  await subscribe(server, client);
  const [{ id }] = server.told.of('authorize');
  await server.main((wsb, kit, socket) => wsb.close(socket, 1012, 'retry-after=1'), id);
  await client.state('waiting');
  const [{ retryAt, code, reason }] = client.of('state').filter(({ state }) => state === 'waiting');
  assert.deepEqual([code, reason], [1012, 'retry-after=1']);
  assert.ok(retryAt - Date.now() > 200, `${retryAt - Date.now()} ms`);
  await publish(server, CHANNEL, 'meanwhile');
  await client.until(() => client.heard.length === 1, 'the message');
  assert.deepEqual([client.heard, client.of('lost')], [['meanwhile'], []]);
});

test('a connection through which nothing comes is noticed, and another is made', async (t) => {
  const { server, net } = await both(t);
  const client = await start(t, net.url, 10);
  await subscribe(server, client);
  net.freeze();
  await publish(server, CHANNEL, 'into the silence');
  await client.state('waiting');
  assert.equal(client.of('state').find(({ state }) => state === 'waiting').reason, 'no pong');
  await client.until(() => client.heard.length === 1, 'the message');
  assert.deepEqual([client.heard, client.of('lost')], [['into the silence'], []]);
});

test('a quiet connection lives on pings', async (t) => {
  const { server, net } = await both(t);
  const client = await start(t, net.url, 10);
  await subscribe(server, client);
  // Without an answer to the first there would be no second.
  const { chunks } = net;
  await client.until(() => net.chunks >= chunks + 2, 'two pings');
  assert.deepEqual(client.of('state').map(({ state }) => state), ['connecting', 'open']);
  assert.deepEqual(await client.ask('request', { data: 1 }), { value: 1 });
});

test('300 channels come back in a few messages', async (t) => {
  const { server, net } = await both(t, { options: { history: [{ channels: 'chat:*' }] } });
  const client = await start(t, net.url);
  for (let index = 0; index < 300; index++) client.say('subscribe', { channel: `chat:${index}` });
  const subscribers = () => server.main((wsb) => {
    let count = 0;
    for (let index = 0; index < 300; index++) count += wsb.subscriberCount(`chat:${index}`);
    return count;
  });
  await client.until(async () => (await subscribers()) === 300, 'all of them');
  net.cut();
  await client.state('open', 2);
  await client.until(async () => (await subscribers()) === 300, 'all of them again');
  for (let index = 0; index < 300; index += 50) await publish(server, `chat:${index}`, `${index}`);
  await client.until(() => client.events.filter(({ offset }) => offset !== undefined).length === 6, 'a message of some');
  assert.deepEqual([client.of('lost'), client.of('error'), client.of('end')], [[], [], []]);
});
