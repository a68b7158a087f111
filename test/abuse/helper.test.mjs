// What clients do to a server helper, above all before it knows who they are. Each attack comes three times; a well-behaved client of the same helper has its echo
// within a second during it and afterwards, no client is left, and the third round leaves no more memory than those before.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { until } from '../e2e/harness.mjs';
import * as raw from '../e2e/raw.mjs';
import { member, single } from '../helper/native-kit.mjs';
import { many, MiB, repeated, sized } from './kit.mjs';

const { BINARY, CLOSE, closeFrame, frame, PING, PONG, TEXT } = raw;
const TIMES = sized(20, 200);
const TOLERANCE = 4 * MiB;
const text = (event, data) => frame(TEXT, JSON.stringify({ event, data }));
const open = (server) => raw.open(server, { target: '/ws' });

/** Bytes the server process holds, less what its collector keeps in reserve. */
async function memory(server) {
  const room = await server.main(() => {
    globalThis.collect ??= globalThis.Bun
      ? () => globalThis.Bun.gc(true)
      : (globalThis.require('node:v8').setFlagsFromString('--expose-gc'), globalThis.require('node:vm').runInNewContext('gc'));
    globalThis.collect();
    const { heapTotal, heapUsed } = process.memoryUsage();
    return globalThis.Bun ? 0 : heapTotal - heapUsed;
  });
  if (process.platform !== 'linux') return 0;
  const { pid } = server.told.of('ready')[0];
  return Number(/VmRSS:\s*(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024 - room;
}

/** Echoes through the helper's `messageHandler`, one after the other, until `still` is called: it resolves to the slowest. */
function keepGoing(healthy) {
  let going = true;
  const slowest = (async () => {
    let worst = 0;
    while (going) worst = Math.max(worst, await echo(healthy));
    return worst;
  })();
  slowest.catch(() => undefined);
  return () => ((going = false), slowest);
}

async function echo(healthy) {
  const began = performance.now();
  healthy.say('echo', began);
  assert.deepEqual(await healthy.next(), { event: 'echo', data: began });
  return performance.now() - began;
}

/** A test of an attack on a helper with these options. */
function attack(name, options, act) {
  test(name, { timeout: sized(60_000, 600_000) }, async (t) => {
    const server = await single(t, options);
    const healthy = await member(server);
    const round = async () => {
      const still = keepGoing(healthy);
      let slowest;
      try {
        await act(server, healthy);
      } finally {
        for (const one of server.raws.splice(0)) one.destroy();
        slowest = await still();
      }
      await until(async () => (await server.run((helper) => helper.countClients())) === 1, 'the clients of the attack to be gone');
      return { slowest: Math.max(slowest, await echo(healthy)), left: await memory(server) };
    };
    const { left, slowest } = await repeated(t, round, { tolerance: TOLERANCE });
    t.diagnostic(`slowest echo ${slowest.toFixed(0)} ms; memory ${left.map((bytes) => (bytes / MiB).toFixed(1)).join(', ')} MiB`);
  });
}

/** Sends this on many connections; each is closed with that code, and then ends. */
async function closed(server, code, bytes) {
  await many(TIMES, 5, async () => {
    const one = await open(server);
    one.write(bytes);
    assert.equal((await one.frame(CLOSE)).code, code);
    one.write(closeFrame(code));
    await one.end();
    assert.ok(one.frames.length <= 129, `${one.frames.length} frames for it`);
  });
}

const flood = (bytes, count = 1000) => Buffer.concat(Array.from({ length: count }, () => bytes));

attack('messages before authentication are so many, whatever they are', {}, async (server) => {
  for (const bytes of [frame(TEXT, 'x'), frame(BINARY, Buffer.alloc(8)), frame(TEXT, ''), frame(TEXT, '{"event":"heartbeat"}'), text('join', { rooms: ['r'] }), text('__proto__')]) {
    await closed(server, 1008, flood(bytes));
  }
});

attack('a message of a stranger is no larger than it may be', {}, async (server) => {
  await closed(server, 1009, frame(TEXT, 'x'.repeat(32_769)));
  const fits = await open(server);
  fits.write(frame(TEXT, 'x'.repeat(32_768)));
  assert.deepEqual(JSON.parse((await fits.frame(TEXT)).text).data, { message: 'Invalid message format' });
});

attack('JSON that is made to hurt is a message like any other', {}, async (server) => {
  const deep = '['.repeat(16_000) + ']'.repeat(16_000);
  const bombs = [deep, `{"event":${deep}}`, `{"event":"authenticate","data":${deep}}`, `{${'"a":1,'.repeat(4000)}"event":"x"}`, `{"event":"x","data":${'9'.repeat(30_000)}}`, '{"__proto__":{"event":"join"}}', '{"event":"\\ud800"}', '{"event":"constructor"}'].map((bomb) => frame(TEXT, bomb));
  await many(TIMES, 5, async (n) => {
    const one = await open(server);
    for (const bomb of bombs) one.write(bomb);
    one.write(frame(TEXT, 'fence'));
    await until(() => one.frames.some((each) => each.opcode === TEXT && each.text.includes('Invalid message format')), `the answer to ${n}`);
    assert.ok(!one.frames.some((each) => each.opcode === CLOSE), 'it is not closed for it');
  });
});

attack('a client that never authenticates is closed with 4001', { authTimeout: 300 }, (server) => closed(server, 4001, text('heartbeat')));

attack('pings of a stranger are answered, and cost nobody else', {}, async (server) => {
  const one = await open(server);
  one.write(flood(frame(PING, 'p'), 10_000));
  one.write(frame(TEXT, 'fence'));
  await one.frame(TEXT);
  assert.ok(one.frames.some((each) => each.opcode === PONG));
});

attack('connections that go at any point of their authentication leave nothing', {}, async (server) => {
  await many(sized(300, 5000), 20, async (n) => {
    const one = await raw.tcp(server);
    one.write(Buffer.concat([Buffer.from(raw.request('/ws')), text('authenticate', { user: `u${n}` }), text('join', { rooms: ['a', 'b'] })]));
    if (n % 3 === 0) await one.answer();
    if (n % 3 === 1) await one.frame(TEXT);
    if (n % 2 === 0) one.reset();
    else one.destroy();
  });
});

attack('rooms by the thousand, joined and left again and again, are one client\'s business', {}, async (server) => {
  const one = await open(server);
  one.write(text('authenticate'));
  await one.frame(TEXT);
  const names = Array.from({ length: 1500 }, (_, i) => `${i}`.padStart(60, 'r'));
  const odd = ['__proto__', 'ws:internal:broadcast', '\ud800', '\udc00', '\0', 'x'.repeat(256), 'x'.repeat(257), '', 7, null, {}, []];
  const turn = Buffer.concat([text('join', { rooms: odd }), text('join', { rooms: names }), text('leave', { rooms: [...odd, ...names] })]);
  for (let i = 0; i < sized(30, 300); i++) {
    one.write(turn);
    // The healthy client lives on this thread, too.
    await new Promise((resolve) => setImmediate(resolve));
  }
  one.write(frame(TEXT, 'fence'));
  await until(() => one.frames.some((each) => each.opcode === TEXT && each.text.includes('Invalid message format')), 'the end of it', 30_000);
  assert.equal(await server.run((helper) => helper.countRoom({ room: 'ws:internal:broadcast' })), 0);
  assert.equal(await server.run((helper, context, room) => helper.countRoom({ room }), 'x'.repeat(257)), 0);
});

attack('a client that does not read holds its limit, and its messages are dropped', {}, async (server) => {
  const one = await open(server);
  one.write(text('authenticate'));
  await one.frame(TEXT);
  one.stopReading();
  const dropped = await server.run((helper) => {
    const client = [...helper.getClients().values()].at(-1);
    for (let i = 0; i < 400; i++) helper.sendToClient({ clientId: client.id, event: 'x', data: 'x'.repeat(100_000) });
    return helper.getStats().framesDropped;
  });
  assert.ok(dropped > 0, 'it is reported');
});
