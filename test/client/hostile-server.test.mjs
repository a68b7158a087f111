// wsbroker/client in front of a server that says anything: it goes on, and tells its program nothing twice or out of order.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { ClientError, connect } from '../../lib/client.mjs';
import { inFakeWorld, settled } from './fake-world.mjs';

const { readMessage } = createRequire(import.meta.url)('../../lib/channels/messages.cjs');

const CHANNELS = ['a', 'b', 'é c', '__proto__'];
const SEEDS = 150;
const STEPS = 120;

/** Always the same numbers. */
function randomly(seed) {
  let state = seed;
  return (count) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 8) % count;
  };
}

/** What a server may say, and what none should. */
function speaker(random) {
  const one = (list) => list[random(list.length)];
  const position = () => ({ offset: random(30), epoch: one(['e1', 'e1', 'e1', 'e2']) });
  const channel = () => one(CHANNELS);
  const id = () => one([1, 2, 3, 'p1', 'p2', 'p3', 'p4']);
  let last;
  const frame = () => last = `${random(60)} ${encodeURIComponent(channel())}\n${one(['', 'x', 'two\nlines', '{"type":"lost"}'])}`;
  const right = [
    frame, frame, frame, frame, frame, frame,
    // The same again.
    () => last ?? frame(),
    () => last ?? frame(),
    () => Buffer.from(`${random(40)} ${channel()}\n\u0000\u00ff`, 'latin1'),
    () => ({ type: 'subscribed', channel: channel(), recovered: random(3) > 0, replayed: random(5), position: position() }),
    () => ({ type: 'lost', channel: channel(), position: position() }),
    () => ({ type: 'refused', channel: channel(), reason: one(['forbidden', 'limit', 'unavailable', 'subscribed', 'unavailable']) }),
    () => ({ type: 'unsubscribed', channel: channel(), ...(random(2) && { reason: 'forbidden' }) }),
    () => ({ type: 'published', id: id(), position: position(), duplicate: random(2) === 0 }),
    () => ({ type: 'failed', id: id(), reason: one(['forbidden', 'limit', 'unavailable', 'unknown', 'error']) }),
    () => ({ type: 'response', id: id(), data: one([null, 1, {}]) }),
    () => ({ type: 'message', data: random(9) }),
    () => ({ type: 'pong' }),
    () => ({ type: 'welcome' }),
  ];
  const odd = [undefined, null, -1, 1e300, 0.5, '', 'x', [], {}, { offset: 'x' }, { offset: 1 }, true, '__proto__', 'constructor'];
  const wrong = [
    () => one(['', ' ', '{', '{}', '{"type":7}', '{"type":"__proto__"}', '{"type":"toString"}', '1', '1 a', '1  a\n', '-1 a\nx', '1e9 a\nx', `${'9'.repeat(400)} z\nx`, '1 %ff\nx', '1 %\nx', '\n', 'hello']),
    () => Buffer.from(Array.from({ length: random(20) }, () => random(256))),
    () => {
      const message = one(right.slice(9, 17))();
      const key = one(Object.keys(message).filter((key) => key !== 'type'));
      return { ...message, [key]: one(odd) };
    },
  ];
  return { right: () => one(right)(), wrong: () => one(wrong)() };
}

const asArrayBuffer = (bytes) => bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);

async function run(world, seed) {
  const random = randomly(seed);
  const say = speaker(random);
  const client = connect('wss://example.org/socket', { backoff: { min: 100, max: 1_000 } });
  const problems = [];
  client.on('error', (error) => problems.push(error));
  const open = new Map();
  let delivered = 0;
  const calls = [];
  const call = (promise) => calls.push(promise.catch((error) => assert.ok(error instanceof ClientError, error)));
  /** A position that no server gives out was said: the client will give it back. */
  let nonsense = false;
  /** Channels that the server has not answered. */
  const asked = [];

  const subscribe = (channel) => {
    if (open.has(channel)) return;
    const state = { last: -1, loading: 0, on: true };
    open.set(channel, state);
    client.subscribe(channel, {
      onMessage({ offset, channel: of }) {
        assert.ok(state.on, 'nothing comes behind the end');
        assert.equal(of, channel);
        assert.equal(state.loading, 0, 'nothing comes while the state is read');
        // Nothing is behind a position that makes no sense.
        if (!nonsense) assert.ok(offset > state.last, `${channel}: ${offset} behind ${state.last}`);
        state.last = offset;
        delivered++;
      },
      onLost: ({ position }) => (state.last = position?.offset ?? -1),
      async getState({ position, signal }) {
        assert.equal(state.loading++, 0, 'one at a time');
        state.last = position?.offset ?? -1;
        await settled();
        state.loading--;
        if (signal.aborted || random(5) === 0) throw new Error('no state');
      },
      onEnd() {
        state.on = false;
        open.delete(channel);
      },
    });
  };

  await settled();
  for (let step = 0; step < STEPS; step++) {
    const { socket } = world;
    switch (random(15)) {
      case 0:
        if (random(3) === 0) await socket.end(1000 + random(20), random(3) ? '' : `retry-after=${random(3)}`);
        break;
      case 1:
        await world.pass(random(3_000));
        break;
      case 2: {
        const channel = CHANNELS[random(CHANNELS.length)];
        if (open.has(channel)) open.get(channel).on = false;
        open.delete(channel);
        client.unsubscribe(channel);
        break;
      }
      case 3:
        if (random(2)) call(client.publish('a', 'x', { id: `p${random(4)}-${step}` }));
        else call(client.request(step));
        break;
      case 4:
      case 5:
        subscribe(CHANNELS[random(CHANNELS.length)]);
        break;
      case 6:
      case 7:
      case 8:
        // What it is asked it often answers, so that there is something to break.
        if (socket.onopen !== null && socket.protocol === '') await socket.welcome();
        for (const channel of asked.splice(0)) {
          await socket.say({ type: 'subscribed', channel, recovered: random(4) > 0, replayed: 0, position: { offset: random(9), epoch: 'e1' } });
        }
        break;
      default: {
        if (random(4) === 0) {
          const said = say.wrong();
          nonsense ||= typeof said === 'object' && !Buffer.isBuffer(said);
          await socket.say(Buffer.isBuffer(said) ? asArrayBuffer(said) : said);
        } else {
          const said = say.right();
          await socket.say(Buffer.isBuffer(said) ? asArrayBuffer(said) : said);
        }
      }
    }
    for (const sent of world.sockets.flatMap((one) => one.taken())) {
      if (sent.type === 'subscribe') asked.push(...sent.channels.map(({ channel }) => channel));
      // It says nothing wrong itself, unless it was given a position that makes no sense.
      if (sent.type !== 'ping' && !nonsense) readMessage(JSON.stringify(sent));
    }
  }
  // A server in its right mind is served again.
  while (world.socket.onmessage === null) await world.pass(1_000);
  if (client.state !== 'open') await world.socket.welcome();
  assert.equal(client.state, 'open');
  let got;
  client.subscribe('mind', { onMessage: ({ data }) => (got = data) });
  await settled();
  await world.socket.say({ type: 'subscribed', channel: 'mind', recovered: true, replayed: 0, position: { offset: 4, epoch: 'e' } }, '5 mind\nfine');
  assert.equal(got, 'fine');
  // What its program throws the client tells as an error: here that is a broken promise.
  for (const error of problems) if (error instanceof assert.AssertionError) throw error;
  for (const state of open.values()) state.on = false;
  client.close();
  await Promise.all(calls);
  assert.equal(world.timers, 0, 'nothing is left');
  return { delivered, problems: problems.length };
}

test('whatever a server says, the client goes on, and nothing comes twice or out of order', async () => {
  let [delivered, problems] = [0, 0];
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      await inFakeWorld(async (world) => {
        const end = await run(world, seed);
        assert.deepEqual(world.reported, []);
        delivered += end.delivered;
        problems += end.problems;
      })();
    } catch (error) {
      throw new Error(`seed ${seed}: ${error.message}`, { cause: error });
    }
  }
  assert.ok(delivered > SEEDS, `${delivered} messages came`);
  assert.ok(problems > SEEDS / 2, `${problems} problems were told`);
});
