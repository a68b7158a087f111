// example/express: a login on the page lets sockets in.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import WebSocket from 'ws';

import { ENDED, startExample } from './example.mjs';

describe('example/express', { timeout: 120_000 }, () => {
  let server;
  const open = new Set();

  before(async () => {
    server = await startExample('example/express/server.mjs');
  });
  after(async () => {
    for (const socket of open) socket.terminate();
    await server?.stop();
  });

  const post = (path, body, cookie = '') =>
    fetch(server.url + path, { method: 'POST', headers: { 'Content-Type': 'application/json', cookie }, body: JSON.stringify(body) });

  async function login(name) {
    const response = await post('/login', { name });
    assert.equal(response.status, 200);
    const set = response.headers.get('set-cookie');
    assert.match(set, /HttpOnly/u);
    assert.match(set, /SameSite=Strict/u);
    return set.split(';', 1)[0];
  }

  function connect(cookie) {
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/ws`, { headers: { cookie } });
    open.add(socket);
    const heard = [];
    const waiting = [];
    socket.on('error', () => {});
    socket.on('message', (data) => (waiting.length > 0 ? waiting.shift()(JSON.parse(data)) : heard.push(JSON.parse(data))));
    const next = () => (heard.length > 0 ? Promise.resolve(heard.shift()) : new Promise((resolve) => waiting.push(resolve)));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    return new Promise((resolve) => {
      socket.once('open', () => resolve({ say: (text) => socket.send(text), next, closed }));
      socket.once('unexpected-response', (_, response) => (resolve({ status: response.statusCode }), socket.terminate()));
    });
  }

  test('pages and health', async () => {
    assert.match(await (await fetch(server.url)).text(), /<form id="login">/u);
    assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
    assert.deepEqual(await (await fetch(`${server.url}/readyz`)).json(), { ready: true });
    assert.equal((await post('/login', { name: '<b>' })).status, 400);
  });

  test('the cookie of a login opens a socket, and nothing else does', async () => {
    const cookie = await login('Ada');
    const ada = await connect(`other=1; ${cookie}`);
    const bob = await connect(await login('Bob'));
    ada.say('hello');
    assert.deepEqual([await ada.next(), await bob.next()], Array(2).fill({ from: 'Ada', text: 'hello' }));
    for (const bad of ['', 'session=', 'session=a.b', `${cookie}x`, cookie.replace('session=', 'session=e')]) {
      assert.equal((await connect(bad)).status, 401, bad);
    }
    assert.equal((await post('/announce', { text: 'x' })).status, 401);
    assert.deepEqual(await (await post('/announce', { text: 'lunch' }, cookie)).json(), { reached: 2 });
    assert.deepEqual(await bob.next(), { from: 'Ada', text: 'an announcement: lunch' });
    assert.equal(await server.stop(), ENDED, 'SIGTERM ends it, with exit code 0');
    assert.equal(await bob.closed, ENDED === 0 ? 1012 : 1006);
  });
});
