// example/cluster: what is said on one instance arrives on the other, and the death of Redis between them is told.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import WebSocket from 'ws';

import { ENDED, startExample } from './example.mjs';

const skip = spawnSync('redis-server', ['--version']).status === 0 ? false : 'no redis-server; enable with: apt-get install redis-server';

describe('example/cluster', { skip, timeout: 120_000 }, () => {
  const SCRIPT = 'example/cluster/server.mjs';
  let server;
  let redisUrl;
  const open = new Set();

  before(async () => {
    server = await startExample(SCRIPT);
    redisUrl = /Redis at (redis:\S+)\)/u.exec(server.output())[1];
  });
  after(async () => {
    for (const socket of open) socket.terminate();
    await server?.stop();
  });

  const state = async () => (await fetch(`${server.url}/state.json`)).json();
  const redis = (what, origin = server.url) => fetch(`${server.url}/redis/${what}`, { method: 'POST', headers: { origin } });

  /** A client of that instance, which hands out what it hears by type. */
  async function connect(number, options) {
    const { instances } = await state();
    const socket = new WebSocket(`ws://127.0.0.1:${instances[number].port}/`, options);
    open.add(socket);
    const heard = [];
    let wake = () => {};
    socket.on('message', (data) => {
      heard.push(JSON.parse(data));
      wake();
    });
    const client = {
      say: (message) => socket.send(typeof message === 'string' ? message : JSON.stringify(message)),
      /** The first that is like that: what an instance tells of itself may come before or after what others said. `undefined` when there is none within `limit` ms. */
      async next(like, limit = 30_000) {
        const deadline = Date.now() + limit;
        while (Date.now() < deadline) {
          const at = heard.findIndex(like);
          if (at >= 0) return heard.splice(at, 1)[0];
          let timer;
          await new Promise((resolve) => {
            wake = resolve;
            timer = setTimeout(resolve, deadline - Date.now());
          });
          clearTimeout(timer);
        }
        return undefined;
      },
    };
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    client.say({ type: 'hello' });
    client.welcome = await client.next(({ type }) => type === 'welcome');
    return client;
  }

  const said = (text) => (message) => message.type === 'said' && message.text === text;
  const bus = (what) => ({ type, state }) => type === 'bus' && state === what;
  const ready = async (client) => {
    if (client.welcome.bus.state !== 'ready') assert.ok(await client.next(bus('ready')), 'the bus is ready');
  };

  /** Until it crosses: just after a subscription, or when the bus is ready again, it may not yet. */
  async function crosses(from, to) {
    for (let attempt = 0; ; attempt += 1) {
      from.say({ type: 'say', id: `probe-${attempt}`, text: `probe ${attempt}` });
      if (await to.next(({ type, text }) => type === 'said' && text.startsWith('probe'), 500)) return;
    }
  }

  test('what is said on one instance arrives on both, which are two processes', async () => {
    const [north, south] = [await connect(0), await connect(1)];
    assert.deepEqual([north.welcome.name, south.welcome.name], ['north', 'south']);
    assert.notEqual(north.welcome.pid, south.welcome.pid);
    await Promise.all([ready(north), ready(south)]);
    await crosses(north, south);
    north.say({ type: 'say', id: '1', text: '<b>hello</b>' });
    for (const client of [north, south]) {
      assert.deepEqual(await client.next(said('<b>hello</b>')), { type: 'said', from: 'north', id: '1', text: '<b>hello</b>' });
    }
  });

  test('while Redis is dead each side goes on, and afterwards the gap is reported', async () => {
    const [north, south] = [await connect(0), await connect(1)];
    await Promise.all([ready(north), ready(south)]);
    await crosses(north, south);
    assert.equal((await redis('stop')).status, 200);
    assert.equal((await state()).redis.running, false);
    for (const client of [north, south]) assert.equal(typeof (await client.next(bus('lost')))?.reason, 'string');
    for (const text of ['one', 'two']) {
      north.say({ type: 'say', id: text, text });
      assert.ok(await north.next(said(text)), 'clients of the same instance have it');
    }
    assert.equal((await redis('start')).status, 200);
    for (const client of [north, south]) assert.ok(await client.next(bus('ready')));
    const own = await north.next(bus('gap'));
    assert.deepEqual([own?.missed, own?.own], [2, true]);
    north.say({ type: 'say', id: '3', text: 'three' });
    const gap = await south.next(bus('gap'));
    assert.deepEqual([gap?.missed, gap?.own], [2, false]);
    assert.ok(await south.next(said('three')));
  });

  test('nonsense is answered, and other sites get nowhere', async () => {
    const north = await connect(0);
    for (const nonsense of ['{', 'null', '{"type":"say"}', `{"type":"say","text":"${'x'.repeat(501)}"}`, '{"type":"say","text":"  "}']) {
      north.say(nonsense);
      assert.match((await north.next(({ type }) => type === 'error')).text, /^expected/u);
    }
    assert.equal((await redis('stop', 'http://evil.example')).status, 403);
    assert.equal((await state()).redis.running, true);
    await assert.rejects(connect(0, { origin: 'http://evil.example' }), /403/u);
    assert.equal((await fetch(`${server.url}/../server.mjs`)).status, 404);
    assert.equal((await fetch(server.url, { method: 'POST' })).status, 405);
  });

  test('with REDIS_URL it uses that one, and leaves it alone', async () => {
    const other = await startExample(SCRIPT, { REDIS_URL: redisUrl });
    try {
      const about = await (await fetch(`${other.url}/state.json`)).json();
      assert.equal(about.redis.own, false);
      assert.equal((await fetch(`${other.url}/redis/stop`, { method: 'POST', headers: { origin: other.url } })).status, 403);
    } finally {
      assert.equal(await other.stop(), ENDED, 'SIGTERM ends it by itself');
    }
    assert.equal((await state()).redis.running, true);
  });

  test('without redis-server it names the command that installs it', async () => {
    await assert.rejects(startExample(SCRIPT, { PATH: '/nonexistent' }), /apt-get install redis-server/u);
  });
});
