// More than can be handled, and peers and handlers that hold things up: memory stays bounded, nothing is lost, and the one who has
// nothing to do with it does not notice.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';

import { launch, until, within } from './harness.mjs';
import { open } from './raw.mjs';

const MiB = 1 << 20;
/** For what is bounded by work that a busy machine does slowly. */
const LONG = 90_000;

/** Memory of the server process in bytes; NaN where the system does not tell it that way. */
function memory(server) {
  if (process.platform !== 'linux') return Number.NaN;
  const status = readFileSync(`/proc/${server.told.of('ready')[0].pid}/status`, 'utf8');
  return Number(/VmRSS:\s*(\d+) kB/.exec(status)[1]) * 1024;
}

/** Follows the memory of the server process: `check(limit)` asserts by how much it has grown at most since now. */
function watchMemory(t, server) {
  const before = memory(server);
  let most = before;
  const look = () => (most = Math.max(most, memory(server)));
  const timer = setInterval(() => server.ended ?? look(), 20);
  t.after(() => clearInterval(timer));
  return {
    check(limit) {
      clearInterval(timer);
      if (Number.isNaN(before)) return t.diagnostic('not asserted on this system: how much the memory grew');
      look();
      const grown = (most - before) / MiB;
      t.diagnostic(`memory: ${(before / MiB).toFixed(0)} MiB before, grew by ${grown.toFixed(1)} MiB`);
      assert.ok(grown < limit / MiB, `memory grew by ${grown.toFixed(1)} MiB, limit ${limit / MiB} MiB`);
    },
  };
}

const quantile = (values, q) => Float64Array.from(values).sort()[Math.min(values.length - 1, Math.floor(values.length * q))];
const median = (values) => quantile(values, 0.5);

// A flood ----------------------------------------------------------------------------------------------------------------------

const FLOOD_MS = 2000;
/** Of this size, so that a second of handlers' work is larger than the buffers of the kernel. */
const FLOOD_SIZE = 16 << 10;
/** So many unhandled messages are more than the window and the kernel's buffers hold: 48 MiB. */
const BEHIND = 3000;
/** Here a flood that nobody holds up ends by itself: 192 MiB. */
const BEHIND_MOST = 12_000;

/** Messages are numbered; the worker counts them, remembers those out of order, and works on each. */
const counting = (work) => `(wsb, kit) => {
  let count = 0;
  const wrong = [];
  const work = ${work};
  return {
    ...kit.standard(wsb),
    handleTextMessage(text, id) {
      if (text.startsWith('run:')) return kit.perform(JSON.parse(text.slice(4)), wsb, id);
      const n = Number(text.slice(0, text.indexOf(':')));
      if (n !== count && wrong.length < 10) wrong.push([n, count]);
      count++;
      if (count % 20 === 0) kit.tell('handled', { count });
      if (text.endsWith(':last')) kit.tell('last', { count, wrong });
      globalThis.counted = count;
      return work();
    },
  };
}`;

const padding = 'x'.repeat(FLOOD_SIZE);

/** Sends as fast as the connection takes it, up to a number or for a time. Tells how it went. */
async function flood(server, client, from, { ms = Infinity, count = Infinity }) {
  const handled = () => server.told.of('handled').at(-1)?.count ?? 0;
  const end = Date.now() + ms;
  let sent = from;
  let behind = 0;
  let heldUp = 0;
  while (Date.now() < end && sent - from < count && behind < BEHIND_MOST && client.ws.readyState === 1) {
    const written = new Promise((resolve) => client.ws.send(`${sent}:${padding}`, resolve));
    sent++;
    if (client.ws.bufferedAmount > 4 * FLOOD_SIZE) {
      const began = performance.now();
      await within(written, 'the flood to go on', LONG, () => server.note());
      heldUp += performance.now() - began;
    } else if (sent % 8 === 0) {
      await turn();
    }
    behind = Math.max(behind, sent - handled());
  }
  return { sent, behind, heldUp };
}

for (const [what, work] of [
  ['works for 1 ms', '() => { const end = performance.now() + 1; while (performance.now() < end); }'],
  ['waits for 1 ms', '() => new Promise((resolve) => setTimeout(resolve, 1))'],
]) {
  test(`a flood at a handler that ${what}: bounded memory, nothing lost, nobody cut`, { timeout: 2 * LONG }, async (t) => {
    const server = await launch(t, { worker: counting(work), options: { threads: 1, idleTimeout: 5000 } });
    server.standard = true;
    const flooder = await server.connect();
    const idle = await server.connect(); // it answers pings, and says nothing
    const mute = await open(server); // it does not even answer: the clock is seen to run
    // What a runtime takes once, for code and heap, is not the flood's.
    const warm = await flood(server, flooder, 0, { count: 400 });
    await server.told.next('handled', (event) => event.count >= warm.sent, LONG);

    const growth = watchMemory(t, server);
    const { sent, behind, heldUp } = await flood(server, flooder, warm.sent, { ms: FLOOD_MS });
    t.diagnostic(`${sent - warm.sent} messages sent, up to ${behind} behind, held up for ${heldUp.toFixed(0)} ms`);
    assert.ok(behind < BEHIND, `reading is paused: ${behind} messages unhandled`);
    // Most of the time on a calm machine; on a busy one there may be less to wait for.
    assert.ok(heldUp > FLOOD_MS / 20, `the flooder is made to wait: ${heldUp} ms`);

    // Another connection of this very worker is heard while it works off the rest.
    assert.deepEqual(await idle.fence(), []);
    flooder.send(`${sent}:last`);
    const last = await server.told.next('last', () => true, LONG);
    growth.check(96 * MiB);
    assert.deepEqual(last.wrong, [], 'in order');
    assert.equal(last.count, sent + 1, 'each once');
    await flooder.fence();
    assert.equal(await idle.run(() => globalThis.counted), sent + 1, 'and no more');

    await mute.end();
    assert.deepEqual([flooder.ended, idle.ended], [undefined, undefined], 'nobody else is cut as idle');
    assert.deepEqual(server.told.of('error'), []);
  });
}

// A subscriber that does not read ----------------------------------------------------------------------------------------------

const READERS = 50;
const GROUPS = 5;
const ROUNDS = 30;
const PUBLISHES = 10;

/** `publish N SLOW` publishes some messages to everyone and sends one to SLOW, and remembers how long each call took. */
const publisher = (wsb, kit) => {
  const block = 'x'.repeat(4096);
  const took = [];
  const timed = (call) => {
    const began = performance.now();
    const said = call();
    took.push(performance.now() - began);
    return said;
  };
  let dropped = 0;
  globalThis.report = () => {
    took.sort((a, b) => a - b);
    return { calls: took.length, dropped, median: took[took.length >> 1], p99: took[Math.floor(took.length * 0.99)], slowest: took.at(-1) };
  };
  return {
    ...kit.standard(wsb),
    handleTextMessage(text, id) {
      if (text.startsWith('run:')) return kit.perform(JSON.parse(text.slice(4)), wsb, id);
      const [, n, publishes, slow] = text.split(' ').map(Number);
      for (let i = 0; i < publishes; i++) timed(() => wsb.sendToChannel('all', `${n} ${i} ${block}`));
      if (slow && timed(() => wsb.send(slow, block)) === 0) dropped++;
    },
  };
};

/** Sends until the kernel takes no more and half of the limit waits. */
const fillHalf = async (wsb, kit, id, limit) => {
  const block = Buffer.alloc(4096);
  const queued = () => wsb.bufferedAmount(id);
  for (let calm = 0, before = 0; calm < 15; calm = queued() < before || queued() < limit / 2 ? 0 : calm + 1) {
    while (queued() < limit / 2) wsb.send(id, block);
    before = queued();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};

/** Many blocks to a subscriber that reads none of them: 256 MiB. */
const blast = async (wsb, kit, id) => {
  const block = Buffer.alloc(64 << 10);
  const took = [];
  for (let i = 0; i < 4096; i++) {
    const began = performance.now();
    if (i % 2) wsb.send(id, block);
    else wsb.sendToChannel('all', block, { exclude: wsb.getSubscribers('all').filter((one) => one !== id) });
    took.push(performance.now() - began);
    if (i % 16 === 15) await new Promise((resolve) => setImmediate(resolve));
  }
  took.sort((a, b) => a - b);
  return { calls: took.length, median: took[took.length >> 1], p99: took[Math.floor(took.length * 0.99)], slowest: took.at(-1) };
};

/** 50 subscribers of 'all' that read; what they get is checked and timed, and not kept. */
async function readersOf(server) {
  const readers = [];
  for (let i = 0; i < READERS; i++) readers.push(await server.connect());
  let [round, missing, latencies, began, done] = [0, 0, [], 0, () => {}];
  for (const reader of readers) {
    let next = 0;
    reader.ws.removeAllListeners('message');
    reader.ws.on('message', (data) => {
      latencies.push(performance.now() - began);
      if (!data.subarray(0, 20).toString('latin1').startsWith(`${round} ${next} `)) done(new Error(`not ${round} ${next}: ${data.subarray(0, 20)}`));
      next = (next + 1) % PUBLISHES;
      if (--missing === 0) done();
    });
  }
  await server.main((wsb, kit, ids) => ids.forEach((id) => wsb.subscribe(id, 'all')), readers.map(({ id }) => id));
  /** Rounds of publishes, each when the last has reached everybody: the 99th percentile of their latencies in ms. */
  const group = async (slow = '') => {
    latencies = [];
    for (let i = 0; i < ROUNDS; i++) {
      round++;
      missing = READERS * PUBLISHES;
      const all = new Promise((resolve, reject) => (done = (error) => (error ? reject(error) : resolve())));
      began = performance.now();
      readers[0].send(`publish ${round} ${PUBLISHES} ${slow}`);
      await within(all, `round ${round} at everybody`, LONG, () => server.note());
    }
    return quantile(latencies, 0.99);
  };
  return { readers, group };
}

/** A subscriber that never reads, with its buffers full. */
async function neverReading(server, limit) {
  const raw = await open(server);
  raw.socket.pause();
  const { id } = await server.told.next('open');
  await server.main((wsb, kit, id) => void wsb.subscribe(id, 'all'), id);
  await server.main(fillHalf, id, limit);
  return { raw, id };
}

function assertAtOnce(t, what, { calls, median, p99, slowest }) {
  t.diagnostic(`${what}: ${calls} calls, median ${median.toFixed(3)}, p99 ${p99.toFixed(2)}, slowest ${slowest.toFixed(1)} ms`);
  assert.ok(median < 1, `${what}: median ${median} ms`);
  // The slowest of thousands may have met a collection of garbage or a thread that was not let run: it proves nothing.
  assert.ok(p99 < 50, `${what}: p99 ${p99} ms`);
}

for (const overflow of ['close', 'dropNewest']) {
  test(`a subscriber that never reads next to ${READERS} that do, overflow '${overflow}'`, { timeout: 2 * LONG }, async (t) => {
    const maxBackpressure = MiB / 4;
    const server = await launch(t, { worker: publisher, options: { threads: 1, ioThreads: 1, maxBackpressure, overflow, closeTimeout: 500 } });
    server.standard = true;
    const { readers, group } = await readersOf(server);
    await group(); // warm
    const growth = watchMemory(t, server);

    // In turns, so that a busy moment of the machine weighs on both alike.
    const [without, next] = [[], []];
    for (let i = 0; i < GROUPS; i++) {
      without.push(await group());
      const slow = await neverReading(server, maxBackpressure);
      next.push(await group(slow.id));
      if (overflow === 'dropNewest') {
        assert.equal(await server.main((wsb, kit, id) => wsb.isOpen(id), slow.id), true);
        slow.raw.destroy();
      }
      const close = await server.told.next('close');
      assert.deepEqual([close.id, close.code], [slow.id, overflow === 'close' ? 1013 : 1006]);
      slow.raw.destroy();
    }
    t.diagnostic(`p99 in ms, without: ${without.map((ms) => ms.toFixed(1))}; next to them: ${next.map((ms) => ms.toFixed(1))}`);
    assert.ok(median(next) <= 5 * median(without) + 100, `p99 ${median(next)} ms instead of ${median(without)} ms`);
    const report = await readers[0].run(() => globalThis.report());
    assert.ok(report.dropped > 0, 'what does not fit is said to be dropped');
    assertAtOnce(t, 'with readers', report);

    const slow = await neverReading(server, maxBackpressure);
    assertAtOnce(t, 'to them alone', await server.main(blast, slow.id));
    growth.check(maxBackpressure + 64 * MiB);
    assert.ok(readers.every((reader) => !reader.ended), 'all others are still there');
  });
}

// Handlers that hold up their thread -------------------------------------------------------------------------------------------

test('while a handler blocks its worker, connections of the other worker are answered at once', async (t) => {
  const server = await launch(t, {
    options: { threads: 2 },
    worker: (wsb, kit) => ({
      ...kit.standard(wsb),
      handleTextMessage(text, id) {
        if (text !== 'block') return void wsb.send(id, text);
        kit.tell('blocking');
        while (!require('node:fs').existsSync('go'));
        kit.tell('freed');
      },
    }),
  });
  server.standard = true;
  // One after the other they go to the worker that has fewer.
  const [blocker, free, neighbour, alsoFree] = [await server.connect(), await server.connect(), await server.connect(), await server.connect()];
  blocker.send('block');
  await server.told.next('blocking');
  neighbour.send('later');
  neighbour.ws.ping('anyone there?');
  const took = [];
  while (took.length < 50) {
    const began = performance.now();
    for (const client of [free, alsoFree]) client.send(`${took.length}`);
    for (const client of [free, alsoFree]) assert.equal(await client.next(), `${took.length}`);
    took.push(performance.now() - began);
  }
  await until(() => neighbour.pongs.length > 0, 'the pong of a connection whose worker is blocked');
  assert.deepEqual([neighbour.pongs, neighbour.messages], [['anyone there?'], []]);
  t.diagnostic(`answers took ${median(took).toFixed(1)} ms, the slowest ${Math.max(...took).toFixed(1)} ms`);
  assert.ok(median(took) < 300, `half of the answers took ${median(took)} ms`);
  server.file('go', '');
  assert.equal(await neighbour.next(), 'later', 'what waited is handled then');
});

// Handlers that fail -----------------------------------------------------------------------------------------------------------

/** What a handler may do, and how many reports that is. Each runs inside the handler. */
const DEEDS = {
  throws: ["throw new Error('on purpose')", 1],
  'throws a string': ["throw 'a string'", 1],
  'throws undefined': ['throw undefined', 1],
  'throws a proxy that throws': ["throw new Proxy({}, { get() { throw new Error('trap'); }, getPrototypeOf() { throw new Error('trap'); } })", 1],
  rejects: ["return Promise.reject(new Error('rejected'))", 1],
  'rejects later': ["return new Promise((_, reject) => setTimeout(() => reject(new Error('late')), 5))", 1],
  'rejects with nothing': ['return Promise.reject()', 1],
  'throws in an async function': ["return (async () => { await null; throw new Error('async'); })()", 1],
  'returns a thenable that throws': ["return { then() { throw new Error('thenable'); } }", 1],
  'returns a thenable that settles often': ['return { then(good, bad) { good(); bad(new Error("second")); good(); throw new Error("third"); } }', 0],
  'returns a thenable that rejects twice': ['return { then(good, bad) { bad(new Error("first")); bad(new Error("second")); } }', 1],
  'returns a revoked proxy': ['const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return proxy', 1],
  'returns a promise of a rejected promise': ["return Promise.resolve().then(() => Promise.reject(new Error('inner')))", 1],
  'never settles': ['return new Promise(() => {})', 1],
  'settles long after its time': ['return new Promise((resolve) => (globalThis.late ??= []).push(resolve))', 1],
  // That it took too long, and in the end what went wrong: these are two.
  'rejects long after its time': ["return new Promise((_, reject) => (globalThis.late ??= []).push(() => reject(new Error('too late'))))", 2],
  'returns garbage': ['return [1, { a: new Map() }]', 0],
  'returns a generator': ['return (function* () { yield 1; })()', 0],
  'returns a function whose then is not a function': ['return Object.assign(() => {}, { then: 7 })', 0],
};

const misbehaving = (wsb, kit) => {
  // Of this thread: those of the main thread are told by the harness.
  for (const type of ['unhandledRejection', 'uncaughtException']) process.on(type, (error) => kit.tell(type, { error: kit.describe(error) }));
  const deeds = new Map();
  return {
    ...kit.standard(wsb),
    handleTextMessage(text, id) {
      if (text.startsWith('run:')) return kit.perform(JSON.parse(text.slice(4)), wsb, id);
      if (text === 'wait') return new Promise((resolve) => setTimeout(resolve, 5));
      if (!text.startsWith('do:')) return void kit.tell('text', { id, data: text });
      deeds.set(id, text.slice(3));
      return (0, eval)(`(() => { ${deeds.get(id)} })()`);
    },
    handleBinaryMessage: (bytes, id) => (0, eval)(`(() => { ${deeds.get(id)} })()`),
    handleClose(id, token, code) {
      kit.tell('close', { id, code });
      if (deeds.has(id)) return (0, eval)(`(() => { ${deeds.get(id)} })()`);
    },
    // Not told with what was thrown, which may refuse to be looked at.
    onError: (error, context) => kit.tell('failed', context),
  };
};

test('handlers that fail in every way at once: each is reported once, and nobody else suffers', async (t) => {
  const server = await launch(t, { worker: misbehaving, options: { threads: 1, handlerTimeout: 100 } });
  server.standard = true;
  const bystander = await server.connect();
  const all = [];
  for (const [name, [deed, reports]] of Object.entries(DEEDS)) all.push({ name, deed, reports, client: await server.connect() });
  for (const { deed, client } of all) {
    client.send('wait'); // so that what follows runs from the line of waiting events
    client.send(`do:${deed}`);
    client.send(Buffer.from('and again'));
    client.send('after');
  }
  for (let i = 0; i < 20; i++) await bystander.fence();
  for (const { name, client } of all) {
    await until(() => server.told.of('text', ({ id }) => id === client.id).length === 1, `what follows a handler that ${name}`, undefined, () => server.note());
  }
  await Promise.all(all.map(({ client }) => client.close()));
  await until(() => server.told.of('close').length === all.length, 'every close', undefined, () => server.note());
  const reportsOf = ({ client }) => server.told.of('failed', ({ socketId }) => socketId === client.id).map(({ handler }) => handler).sort();
  const expected = ({ reports }) => ['handleBinaryMessage', 'handleClose', 'handleTextMessage'].flatMap((handler) => Array(reports).fill(handler));
  for (const one of all) {
    await until(() => reportsOf(one).length >= Math.min(3, expected(one).length), `the reports of a handler that ${one.name}`, undefined, () => server.note());
  }
  // What settles after its time settles now; no more comes of anything that is still under way.
  assert.equal(await bystander.run(() => globalThis.late.map((settle) => settle()).length), 6);
  for (let i = 0; i < 20; i++) await bystander.fence();
  const found = Object.fromEntries(all.map((one) => [one.name, reportsOf(one)]));
  assert.deepEqual(found, Object.fromEntries(all.map((one) => [one.name, expected(one)])));
  server.assertQuiet();
});

test('an onError that rejects or never settles does no harm', async (t) => {
  const server = await launch(t, {
    options: { threads: 1 },
    worker: (wsb, kit) => {
      for (const type of ['unhandledRejection', 'uncaughtException']) process.on(type, (error) => kit.tell(type, { error: kit.describe(error) }));
      return {
        ...kit.standard(wsb),
        handleTextMessage(text, id) {
          if (text.startsWith('run:')) return kit.perform(JSON.parse(text.slice(4)), wsb, id);
          throw text;
        },
        async onError(error) {
          kit.tell('failed', { error });
          if (error === 'never') await new Promise(() => {});
          throw new Error('onError failed too');
        },
      };
    },
  });
  server.standard = true;
  const client = await server.connect();
  for (const text of ['never', 'rejects', 'rejects']) client.send(text);
  for (let i = 0; i < 5; i++) assert.deepEqual(await client.fence(), []);
  assert.deepEqual(server.told.of('failed').map(({ error }) => error), ['never', 'rejects', 'rejects']);
  server.assertQuiet();
});

test("handlers: 'concurrent': failures are each reported once, too", async (t) => {
  const server = await launch(t, { worker: misbehaving, options: { threads: 1, handlers: 'concurrent', handlerTimeout: 100 } });
  server.standard = true;
  const client = await server.connect();
  const bad = Object.values(DEEDS).filter(([deed]) => !deed.includes('globalThis') && deed !== DEEDS['never settles'][0]);
  for (const [deed] of bad) client.send(`do:${deed}`);
  client.send('after');
  await server.told.next('text');
  const count = bad.filter(([, reports]) => reports).length;
  await until(() => server.told.of('failed').length >= count, 'every report', undefined, () => server.note());
  for (let i = 0; i < 5; i++) await client.fence();
  assert.equal(server.told.of('failed').length, count);
  server.assertQuiet();
});
