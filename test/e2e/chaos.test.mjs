// Workers that are killed, hung and reloaded at random under traffic: no connection is closed, no message is lost, repeated
// or reordered. By default some seconds with some sockets; CHAOS=full is 5 minutes with 2,000. CHAOS_SEED repeats a run,
// CHAOS_SECONDS and CHAOS_SOCKETS change its size.
import assert from 'node:assert/strict';
import { readFileSync, renameSync } from 'node:fs';
import { test } from 'node:test';

import { launch, until } from './harness.mjs';

const full = process.env.CHAOS === 'full';
const seconds = Number(process.env.CHAOS_SECONDS || (full ? 300 : 12));
const sockets = Number(process.env.CHAOS_SOCKETS || (full ? 2_000 : 120));
const seed = Number(process.env.CHAOS_SEED || Math.floor(Math.random() * 2 ** 31));
/** Messages of one client that are not answered yet. */
const WINDOW = sockets > 500 ? 2 : 6;
/** Between two publishes of a thread, in milliseconds: each of them goes to every socket. */
const PUBLISH_EVERY = Math.max(20, Math.ceil(sockets / 6));

/** Mulberry32: the same numbers for the same seed. */
function random(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Answers each number, and keeps the last one of a socket in its token, which moves with it. Paths: `/sync` answers at once,
 * `/async` after a moment, `/victim` does what it is told to its thread.
 */
const worker = (wsb, kit) => {
  const { threadId } = require('node:worker_threads');
  let published = 0;
  return {
    handleStart() {
      setInterval(() => wsb.sendToChannel('all', `p ${threadId} ${published++}`), Number(process.env.PUBLISH_EVERY));
    },
    handleOpen(id, ip, headers, { path }) {
      return { token: `${path} 0`, channels: path === '/victim' ? [] : ['all'] };
    },
    handleTextMessage(text, id, token) {
      const [path, last] = token.toString().split(' ');
      if (path === '/victim') {
        if (text === 'exit') process.exit(3);
        if (text === 'throw') setImmediate(() => { throw new Error('on purpose'); });
        if (text === 'hang') for (;;);
        return;
      }
      const number = Number(text);
      const answer = () => {
        wsb.setToken(id, `${path} ${number}`);
        wsb.send(id, `r ${number}`);
      };
      if (path === '/sync') {
        if (number !== Number(last) + 1) kit.tell('wrong', { id, number, last });
        return answer();
      }
      return new Promise((resolve) => setTimeout(resolve, number % 5)).then(answer);
    },
    handleClose: (id, token, code) => kit.tell('close', { id, code, path: token?.toString() }),
  };
};

class Talker {
  constructor(client, path) {
    this.client = client;
    this.exact = path === '/sync';
    this.sent = 0;
    this.answered = 0;
    this.missing = 0;
    this.wrong = [];
    this.publishers = new Map();
    client.ws.removeAllListeners('message');
    client.ws.on('message', (data) => this.receive(data.toString()));
  }

  receive(text) {
    const [kind, a, b] = text.split(' ');
    if (kind === 'p') {
      const before = this.publishers.get(a);
      if (before !== undefined && Number(b) !== before + 1) this.wrong.push(`publish ${b} of ${a} after ${before}`);
      this.publishers.set(a, Number(b));
      return;
    }
    const number = Number(a);
    // What was in hand when its thread was ended is not run again: then, and only of async handlers, an answer is missing.
    if (number <= this.answered || (this.exact && number !== this.answered + 1)) {
      this.wrong.push(`answer ${number} after ${this.answered}`);
    }
    this.missing += number - this.answered - 1;
    this.answered = number;
    this.talk();
  }

  talk() {
    while (!this.stopped && this.sent - this.answered < WINDOW) this.client.send(`${++this.sent}`);
  }
}

const memoryOf = (pid) => {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
  } catch {
    return undefined;
  }
};

const timeout = (seconds + 120 + sockets / 10) * 1000;
test(`workers are killed, hung and reloaded for ${seconds} s under ${sockets} sockets (CHAOS_SEED=${seed})`, { timeout }, async (t) => {
  t.diagnostic(`seed ${seed}`);
  const next = random(seed);
  const pick = (all) => all[Math.floor(next() * all.length)];
  const server = await launch(t, { worker, start: false, env: { PUBLISH_EVERY } });
  const { workerPath } = server.defaults;
  server.at = await server.main(
    (wsb, kit, options) => kit.start({ ...options, onWorker: ({ type, workerId, reason }) => kit.tell('worker', { event: type, workerId, reason: reason?.message }) }),
    // Long enough that no thread counts as stuck that only waits for a processor: what it had in hand would be lost.
    { ...server.defaults, threads: 3, watchdog: { after: 1500, action: 'replace' } },
  );
  const source = readFileSync(workerPath, 'utf8');
  const talkers = [];
  for (let i = 0; i < sockets; i++) {
    const path = i % 3 === 0 ? '/async' : '/sync';
    talkers.push(new Talker(await server.connect(path), path));
  }
  const victims = await Promise.all(Array.from({ length: 4 }, () => server.connect('/victim')));
  for (const talker of talkers) talker.talk();
  const counts = { reload: 0, exit: 0, throw: 0, hang: 0, cut: 0 };
  const ending = performance.now() + seconds * 1000;
  let memory;
  while (performance.now() < ending) {
    if (memory === undefined && performance.now() > ending - seconds * 800) memory = memoryOf(server.child.pid);
    const what = pick(['reload', 'reload', 'exit', 'throw', 'hang']);
    counts[what]++;
    if (what === 'reload') {
      // Replaced at once: a thread that is just starting must not read half of it.
      renameSync(server.file('next.tmp', `${source}// version ${counts.reload}\n`), workerPath);
      const { cut } = await server.main((wsb, kit, options) => wsb.reloadWorkers(options), { threads: pick([2, 3, 4]), timeout: 5_000 });
      counts.cut += cut;
    } else {
      pick(victims).send(what);
    }
    await new Promise((resolve) => setTimeout(resolve, 50 + next() * 500));
  }
  for (const talker of talkers) talker.stopped = true;
  await until(() => talkers.every(({ exact, sent, answered }) => !exact || answered === sent), 'every message is answered', 60_000, () =>
    `; ${JSON.stringify(talkers.filter(({ exact, sent, answered }) => exact && answered !== sent).slice(0, 5).map(({ sent, answered, client }) => ({ sent, answered, ended: client.ended })))}${server.note()}`);
  // An async answer may be missing at the very end; the next number tells.
  for (const talker of talkers.filter(({ exact }) => !exact)) talker.client.send(`${++talker.sent}`);
  await until(() => talkers.every(({ sent, answered }) => answered === sent), 'the last message is answered', 60_000);
  const messages = talkers.reduce((sum, { sent }) => sum + sent, 0);
  const missing = talkers.reduce((sum, { missing }) => sum + missing, 0);
  t.diagnostic(`${messages} messages, ${JSON.stringify(counts)}, ${missing} async events were in hand when their thread was ended`);
  assert.deepEqual(talkers.flatMap(({ wrong }) => wrong).slice(0, 10), []);
  assert.deepEqual(talkers.filter(({ client }) => client.ended).length, 0, 'no connection was closed');
  assert.deepEqual(server.told.of('wrong').slice(0, 5), []);
  assert.deepEqual(server.told.of('close').slice(0, 5), []);
  // One event in hand for each async socket and each thread that was ended, at most. On a busy machine the watchdog ends some
  // that were not told to hang. A thread that a reload was about to stop is not replaced, so it has not `died`.
  const ended = server.told.of('worker', ({ event, reason }) => event === 'died' || (event === 'stopped' && reason));
  const violent = ended.length;
  assert.ok(missing <= violent * Math.ceil(sockets / 3), `${missing} of ${messages}, ${violent} threads were ended: ${JSON.stringify(server.told.of('worker').map(({ type, ...told }) => told))}`);
  assert.ok(Object.values(counts).some((count) => count > 0));
  const after = memoryOf(server.child.pid);
  t.diagnostic(`memory: ${memory?.toFixed(0)} MiB after a fifth of the time, ${after?.toFixed(0)} MiB at the end`);
  if (full && memory !== undefined) assert.ok(after < memory * 1.5 + 50, `${memory} MiB, then ${after} MiB`);
  if (server.told.of('uncaughtException').length > 0) {
    // Thrown on purpose, in workers: none reaches the main thread.
    assert.fail(JSON.stringify(server.told.of('uncaughtException')));
  }
});
