// What every attack is measured by. A `site` is a server process that some attacks share; an attack is a function that misbehaves
// against it and asserts what it was told in return: a status, a close code, an end. Around it this module asserts the rest:
//
// - a well-behaved client has its echo within a second during the attack (unless `during: false` says why not) and after it;
// - every connection a handler has accepted is told to be closed once, and none is left;
// - the counters of the server tell what happened;
// - the attack comes three times, and the third round leaves the server with no more memory than the first, give or take `tolerance`.
//
// ABUSE=full makes everything larger.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { launch, onBun, until } from '../e2e/harness.mjs';
import * as raw from '../e2e/raw.mjs';
import { PROMPT, WellBehaved } from './healthy.mjs';

export const FULL = process.env.ABUSE === 'full';
export const MiB = 1 << 20;
/** A size for every day, and one for ABUSE=full. */
export const sized = (daily, full) => (FULL ? full : daily);

const ROUNDS = 3;
/** What a collector's heap may differ by between two moments at which nothing is alive. */
const TOLERANCE = onBun ? 6 * MiB : 3 * MiB;
/** What the young generations of the engine may take during an attack, before their collectors run and their size has settled. */
const ENGINE = 16 * MiB;
/** A heap may take a step once, and a machine may be busy. Growth goes on: then so many more rounds must leave what the last one left, and be in time. */
const MORE_ROUNDS = 3;

/** Runs the collector of this thread, and tells how much room its heap keeps beyond what is used. */
function room() {
  globalThis.collect ??= globalThis.Bun
    ? () => globalThis.Bun.gc(true)
    : (globalThis.require('node:v8').setFlagsFromString('--expose-gc'), globalThis.require('node:vm').runInNewContext('gc'));
  globalThis.collect();
  const { heapTotal, heapUsed } = process.memoryUsage();
  return heapTotal - heapUsed;
}

/**
 * The server's side: an echo that counts. `/wait` waits for `release`, `/wait-deaf` too, and gets no echo, as `/deaf`;
 * `/refuse` is refused, `/subscribe` subscribes to `news`.
 */
const worker = `(wsb, kit) => {
  const room = ${room};
  const told = { opens: 0, refused: 0, texts: 0, binaries: 0, drains: 0, closes: {}, errors: [] };
  const waiting = new Map();
  const deaf = new Set();
  globalThis.abuse = {
    told, room, waiting,
    release: () => { for (const settle of waiting.values()) settle(true); waiting.clear(); },
  };
  return {
    handleOpen(id, ip, headers, request) {
      if (request.path === '/refuse') { told.refused++; return false; }
      told.opens++;
      if (request.path.endsWith('deaf')) deaf.add(id);
      if (request.path === '/subscribe') wsb.subscribe(id, 'news');
      if (request.path.startsWith('/wait')) return new Promise((resolve) => waiting.set(id, resolve));
    },
    handleTextMessage(text, id) {
      if (kit.runnable(wsb, text, id)) return;
      told.texts++;
      if (!deaf.has(id)) wsb.send(id, text);
    },
    handleBinaryMessage(bytes, id) {
      told.binaries++;
      if (!deaf.has(id)) wsb.send(id, bytes);
    },
    handleDrain() { told.drains++; },
    handleClose(id, token, code) {
      deaf.delete(id);
      told.closes[code] = (told.closes[code] ?? 0) + 1;
    },
    onError(error) { told.errors.push(String(error)); },
  };
}`;

const OWN_KEYS = new Set(['opens', 'refused', 'texts', 'binaries', 'drains']);

class Site {
  constructor(given) {
    this.given = given;
    this.cleanups = [];
  }

  async up() {
    const { options = {}, from, aside = false, ...more } = this.given;
    this.server = await launch({ after: (fn) => this.cleanups.push(fn) }, { worker, options, ...more });
    this.pid = this.server.told.of('ready')[0].pid;
    // Those who watch come through a listener with no limits of its own.
    this.calm = await this.server.start({});
    this.watcher = await this.server.connect('/', { at: this.calm, id: false, localAddress: from });
    this.healthy = new WellBehaved((aside ? this.calm : this.server.at).url, { from });
    await this.healthy.echo();
    this.residents = await this.connections();
    await this.memory();
    this.filesAtRest = this.descriptors();
  }

  async down() {
    await this.healthy?.end();
    for (const cleanup of this.cleanups) await cleanup();
  }

  connections() {
    return this.server.main((wsb) => wsb.connectionCount());
  }

  /** What handlers were told so far. */
  told() {
    return this.inWorker(() => structuredClone(globalThis.abuse.told));
  }

  /** What the server counts. */
  stats() {
    return this.server.main((wsb) => wsb.stats());
  }

  /** Calls a function in the worker: (wsbroker, socketId of the watcher, ...args). */
  inWorker(fn, ...args) {
    return this.watcher.run(fn, ...args);
  }

  // The attacker's tools: connections that the end of the round cuts -----------------------------------------------------------

  tcp(more) {
    return raw.tcp(this.server, more);
  }

  open(more) {
    return raw.open(this.server, more);
  }

  /** How many connections of the attack there are. */
  async others() {
    return (await this.connections()) - this.residents;
  }

  /** Says this on a new connection, and resolves to it when it was answered or has ended. */
  async say(bytes) {
    const one = await this.tcp();
    one.write(bytes);
    await one.answer();
    return one;
  }

  /** Opens a connection, sends these bytes, and expects a close frame with that code and then the end. */
  async closedWith(code, bytes, more) {
    const one = await this.open(more);
    one.write(bytes);
    await this.closes(one, code);
    return one;
  }

  async closes(one, code) {
    assert.equal((await one.frame(raw.CLOSE)).code, code);
    await one.end();
    assert.equal(one.frames.at(-1).opcode, raw.CLOSE, 'nothing comes behind a close frame');
  }

  // The measure ------------------------------------------------------------------------------------------------------------------

  /**
   * Bytes that the server process holds once its collectors have run and it has come to rest: what is resident, and of the heaps
   * of JavaScript what is used of them, since their engine keeps more or less room as it sees fit.
   */
  async memory() {
    const look = async () => {
      const heaps = [await this.inWorker(() => globalThis.abuse.room()), await this.server.main(room)];
      return this.resident() - (onBun ? 0 : heaps.reduce((sum, one) => sum + one, 0));
    };
    let lowest = await look();
    for (;;) {
      const now = await look();
      if (now > lowest - 64 * 1024) return (this.left = Math.min(now, lowest));
      lowest = now;
    }
  }

  resident() {
    if (process.platform !== 'linux') return Number.NaN;
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(/VmRSS:\s*(\d+) kB/.exec(status)[1]) * 1024;
  }

  /** How many files and sockets the server process has open. */
  descriptors() {
    return process.platform === 'linux' ? readdirSync(`/proc/${this.pid}/fd`).length : 0;
  }

  /**
   * The counters account for every connection of the round, whatever became of it, and nothing is left of it in the gauges. `counts`
   * is what they say besides: of `rejected`, `closes` and `dropped` the causes, each with its number.
   */
  async counted(before, opens, counts = {}) {
    let now;
    const at = (name) => now[name] - before[name];
    const accounts = () => {
      const [rejected, closes] = [more(before.rejected, now.rejected), more(before.closes, now.closes)];
      const { closeTimeout = 0, beforeOpen = 0, ...ends } = closes;
      return {
        'accepted, but neither opened nor rejected': at('accepted') - at('opened') - sum(rejected),
        'opened, but not closed': at('opened') - at('closed'),
        'closed without a cause': at('closed') - sum(ends),
        'close timeouts beyond the closes': Math.max(0, closeTimeout - sum(ends)),
        'let in by handlers, but neither opened nor gone before': opens - at('opened') - beforeOpen,
        pendingUpgrades: now.pendingUpgrades,
        sendMemory: now.sendMemory,
        receiveMemory: now.receiveMemory,
        commandBytes: now.commandBytes,
        'more connections': at('connections'),
        'connections of no shard': now.connections - now.shards.reduce((total, shard) => total + shard.connections, 0),
        'in flight to workers': now.workers.reduce((total, worker) => total + worker.inFlightBytes, 0),
      };
    };
    const balanced = () => Object.values(accounts()).every((value) => value === 0);
    const shown = () => `: ${JSON.stringify(accounts())}, rejected ${JSON.stringify(more(before.rejected, now.rejected))}, closes ${JSON.stringify(more(before.closes, now.closes))}`;
    await until(async () => ((now = await this.stats()), balanced()), 'the counters to balance', 3000, shown);
    for (const [kind, expected] of Object.entries(counts)) {
      const came = more(before[kind], now[kind]);
      // Whether the attack outlasts it is not what most are about.
      if (!('closeTimeout' in expected)) delete came.closeTimeout;
      assert.deepEqual(came, expected, `what is counted as ${kind}`);
    }
  }

  /** One round of an attack, and the return to peace. Resolves to what it left. */
  async round(attack, { during = true, expect, counts }) {
    const before = await this.told();
    const statsBefore = await this.stats();
    const still = during ? await this.healthy.keepGoing() : undefined;
    this.peak = 0;
    const watch = setInterval(() => (this.peak = Math.max(this.peak, this.resident())), 50);
    let echoes;
    try {
      await attack(this);
    } finally {
      clearInterval(watch);
      for (const one of this.server.raws.splice(0)) one.destroy();
      echoes = await still?.();
    }
    const files = () => `; ${this.descriptors()} files open, ${this.filesAtRest} before${this.server.note()}`;
    await until(() => this.descriptors() <= this.filesAtRest, 'every socket of the attack to be closed', undefined, files);
    await until(async () => (await this.connections()) === this.residents, 'every connection of the attack to be gone', undefined, () => this.server.note());
    const after = await until(async () => {
      // Questions may still be on their way to the handler.
      await this.inWorker(() => globalThis.abuse.release());
      const told = await this.told();
      return closed(told) - closed(before) === told.opens - before.opens && told;
    }, 'a close event for every connection that was opened');
    const { slowest } = await this.healthy.echo();
    assert.deepEqual(after.errors, [], 'no handler failed');
    await this.counted(statsBefore, after.opens - before.opens, counts);
    if (expect) {
      const change = difference(before, after);
      change.texts -= echoes?.count ?? 0;
      for (const [key, value] of Object.entries(expect)) {
        if (OWN_KEYS.has(key)) assert.equal(change[key] ?? 0, value, `handlers were told of that many ${key}`);
        else assert.deepEqual(change[key], value, `what handlers were told: ${key}`);
      }
    }
    return { slowest: Math.max(slowest, echoes?.slowest ?? 0), peak: this.peak };
  }
}

/** What differs between two records of counters. */
const more = (before, after) => Object.fromEntries(Object.keys(after).filter((key) => after[key] !== before[key]).map((key) => [key, after[key] - before[key]]));
const sum = (counters) => Object.values(counters).reduce((total, count) => total + count, 0);

const closed = (told) => Object.values(told.closes).reduce((sum, count) => sum + count, 0);

function difference(before, after) {
  const change = {};
  for (const key of OWN_KEYS) change[key] = after[key] - before[key];
  change.closes = {};
  for (const [code, count] of Object.entries(after.closes)) {
    const more = count - (before.closes[code] ?? 0);
    if (more > 0) change.closes[code] = more;
  }
  return change;
}

/**
 * A server, and the attacks on it. `given` is for `launch` (options of `start` above all); `from` is the address the healthy
 * client and the watcher come from; with `aside` the healthy client, too, uses a listener without limits of its own. `define`
 * gets a function that makes a test of an attack: (name, attack, options).
 *   during     false: the healthy client is promised nothing while this goes on
 *   expect     what handlers are told in each round: { opens, texts, closes: { code: count }, … }
 *   counts     what the server counts in each round: { rejected: { cause: count }, closes: { … }, dropped: { … } }
 *   most       bytes by which the memory may grow while the attack goes on, besides what the engine's heap takes of itself
 *   tolerance  bytes by which the memory after a round may differ from that after the first
 */
export function site(what, given, define) {
  describe(what, () => {
    const place = new Site(given);
    before(() => place.up());
    after(() => place.down());
    define((name, attack, options = {}) => {
      test(name, { timeout: options.timeout ?? sized(60_000, 600_000), skip: options.skip }, (t) => measure(t, place, attack, options));
    }, place);
  });
}

async function measure(t, place, attack, { tolerance = TOLERANCE, most, rounds, ...options }) {
  const start = place.left;
  const resident = place.resident();
  let peak = 0;
  const round = async (weigh) => {
    const one = await place.round(attack, options);
    peak = Math.max(peak, one.peak - resident);
    return { slowest: one.slowest, left: weigh ? await place.memory() : undefined };
  };
  const { left, slowest } = await repeated(t, round, { tolerance, rounds });
  t.diagnostic(`slowest echo ${slowest.toFixed(0)} ms; memory ${shown(start)} MiB, then ${left.map(shown).join(', ')}; at most ${shown(peak)} MiB more meanwhile`);
  if (most !== undefined) assert.ok(!(peak > most + ENGINE), `memory grew by ${shown(peak)} MiB during the attack, limit ${shown(most + ENGINE)}`);
}

const shown = (bytes) => (bytes / MiB).toFixed(1);

/**
 * Runs a round some times, and asserts that the last leaves what the first left, give or take `tolerance`, and that the healthy client has its echoes in time. What an
 * attack does it does each time, a busy machine does not: where a round was too slow, or has left more, that is asserted of more rounds. `round` is told whether what
 * it leaves is looked at, and resolves to { slowest, left }: of the echoes, in milliseconds, and in bytes.
 */
export async function repeated(t, round, { tolerance, rounds = ROUNDS }) {
  const left = [];
  const took = [];
  const once = async (weigh = true) => {
    const one = await round(weigh);
    took.push(one.slowest);
    if (weigh) left.push(one.left);
  };
  // What the second leaves shows with the third.
  for (let n = 0; n < rounds; n++) await once(n !== 1);
  const slow = took.filter((ms) => ms >= PROMPT);
  if (slow.length > 0) t.diagnostic(`${slow.length} of ${rounds} rounds were slow: an echo took ${slow.map(Math.round).join(', ')} ms; ${MORE_ROUNDS} more`);
  let base = left[0];
  const grown = left.at(-1) > base + tolerance;
  if (grown) {
    // Memory that is kept for the next messages is had at the latest with this one.
    await once();
    base = left.at(-1);
  }
  if (grown || slow.length > 0) {
    for (let n = 0; n < MORE_ROUNDS; n++) await once();
    const slowest = Math.max(...took.slice(-MORE_ROUNDS));
    assert.ok(slowest < PROMPT, `an echo of the healthy client took ${slowest.toFixed(0)} ms`);
  }
  assert.ok(!(left.at(-1) > base + tolerance), `memory after each round: ${left.map(shown).join(', ')} MiB, tolerance ${shown(tolerance)}`);
  return { left, slowest: Math.max(...took) };
}

/** Runs an attack `count` times, `width` at a time. If one fails no more begin, and it waits for those that have: they would be counted in the next round. */
export async function many(count, width, one) {
  let next = 0;
  const lane = async () => {
    try {
      while (next < count) await one(next++);
    } catch (error) {
      next = count;
      throw error;
    }
  };
  const lanes = Array.from({ length: Math.min(width, count) }, lane);
  await Promise.allSettled(lanes);
  await Promise.all(lanes);
}
