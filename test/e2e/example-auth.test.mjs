// example/auth: who gets in, where messages go, and when it ends.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { SignJWT, generateKeyPair } from 'jose';
import WebSocket from 'ws';

import { ENDED, startExample } from './example.mjs';

// This file signs tokens of its own, with what Node 18 has under another name.
globalThis.crypto ??= (await import('node:crypto')).webcrypto;

describe('example/auth', { timeout: 120_000 }, () => {
  let server;
  const open = new Set();

  before(async () => {
    server = await startExample('example/auth/server.mjs', { TOKEN_SECONDS: '60' });
  });
  after(async () => {
    for (const socket of open) socket.terminate();
    await server?.stop();
  });

  const passwordOf = (user, { output } = server) => new RegExp(`${user} +password (\\S+)`, 'u').exec(output())[1];

  const login = (body, { url } = server) =>
    fetch(`${url}/login`, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) });

  async function tokenOf(user, from = server) {
    const response = await login({ user, password: passwordOf(user, from) }, from);
    assert.equal(response.status, 200);
    return response.json();
  }

  /** Connects, and resolves to a client that hands out what it hears, or to the refusal. */
  async function connect({ headers, protocols = [], query = '' }, { ports } = server) {
    const socket = new WebSocket(`ws://127.0.0.1:${ports.WS_PORT}/${query}`, protocols, { headers });
    open.add(socket);
    const heard = [];
    const waiting = [];
    socket.on('message', (data) => {
      const message = JSON.parse(data);
      if (waiting.length > 0) waiting.shift()(message);
      else heard.push(message);
    });
    const closed = new Promise((resolve) => socket.once('close', (code, reason) => resolve({ code, reason: `${reason}`, at: Date.now() / 1000 })));
    return new Promise((resolve, reject) => {
      socket.once('open', () => resolve({
        protocol: socket.protocol,
        say: (message) => socket.send(typeof message === 'string' ? message : JSON.stringify(message)),
        next: () => (heard.length > 0 ? Promise.resolve(heard.shift()) : new Promise((hear) => waiting.push(hear))),
        heard,
        closed,
      }));
      socket.once('unexpected-response', async (_request, response) => {
        const chunks = [];
        for await (const chunk of response) chunks.push(chunk);
        resolve({ status: response.statusCode, authenticate: response.headers['www-authenticate'], body: Buffer.concat(chunks).toString() });
        socket.terminate();
      });
      socket.on('error', reject);
    });
  }

  const bearer = (token) => ({ headers: { authorization: `Bearer ${token}` } });

  test('login gives a token for the right password only', async () => {
    assert.equal((await login({ user: 'alice', password: 'wrong' })).status, 401);
    assert.equal((await login({ user: 'nobody', password: passwordOf('alice') })).status, 401);
    assert.equal((await login({ user: 'bob', password: passwordOf('alice') })).status, 401);
    assert.equal((await login('{')).status, 400);
    assert.equal((await login({ user: ['alice'], password: 1 })).status, 400);
    const { token, expires } = await tokenOf('alice');
    assert.equal(token.split('.').length, 3);
    assert.ok(expires > Date.now() / 1000);
  });

  test('the public key is public, the private one is not', async () => {
    const { keys } = await (await fetch(`${server.url}/jwks.json`)).json();
    assert.equal(keys.length, 1);
    assert.equal(keys[0].d, undefined);
  });

  test('a token opens a connection by header and by subprotocol, but not by query', async () => {
    const { token } = await tokenOf('alice');
    const byHeader = await connect(bearer(token));
    byHeader.say('{}');
    assert.equal((await byHeader.next()).type, 'error', 'the connection works');

    const bySubprotocol = await connect({ protocols: ['messages.v1', `bearer.${token}`] });
    assert.equal(bySubprotocol.protocol, 'messages.v1', 'the token does not come back');

    const byQuery = await connect({ query: `?token=${token}` });
    assert.equal(byQuery.status, 401);
    assert.equal(byQuery.authenticate, 'Bearer');
  });

  test('no token, a broken one, a forged one, one for others and one that has ended: 401 each', async () => {
    assert.deepEqual(await connect({}), { status: 401, authenticate: 'Bearer', body: 'a token is needed\n' });

    const { token } = await tokenOf('alice');
    const [head, payload, signature] = token.split('.');
    const { iss, aud, exp } = JSON.parse(Buffer.from(payload, 'base64url'));
    const { kid } = JSON.parse(Buffer.from(head, 'base64url'));
    const claims = (changes) => ({ iss, aud, exp, sub: 'alice', ...changes });
    const { privateKey } = await generateKeyPair('ES256');
    const forge = (content, key = privateKey, alg = 'ES256') => new SignJWT(content).setProtectedHeader({ alg, kid }).sign(key);
    const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`;
    for (const [what, bad] of [
      ['not a token', 'nonsense'],
      ['without its signature', `${head}.${payload}.`],
      ['with another payload', `${head}.${Buffer.from(JSON.stringify(claims({ sub: 'bob' }))).toString('base64url')}.${signature}`],
      ['with alg none', none],
      ['signed by another key', await forge(claims())],
      ['signed by the public key as if it were a secret', await forge(claims(), new TextEncoder().encode(await (await fetch(`${server.url}/jwks.json`)).text()), 'HS256')],
    ]) {
      const answer = await connect(bearer(bad));
      assert.deepEqual(
        answer,
        { status: 401, authenticate: 'Bearer error="invalid_token", error_description="token not valid"', body: 'token not valid\n' },
        what,
      );
    }
  });

  test('a page can ask whether its session is still valid', async () => {
    const { token, expires } = await tokenOf('alice');
    const ask = (options) => fetch(`${server.url}/session`, options);
    assert.deepEqual(await (await ask(bearer(token))).json(), { user: 'alice', expires });
    for (const other of [{}, bearer(`${token}x`), bearer('x')]) assert.equal((await ask(other)).status, 401);
  });

  test('a message to a user reaches all their connections, and the sender\'s own others', async () => {
    const alice = await tokenOf('alice');
    const bob = await tokenOf('bob');
    const phone = await connect(bearer(alice.token));
    const laptop = await connect({ protocols: ['messages.v1', `bearer.${alice.token}`] });
    const bobs = [await connect(bearer(bob.token)), await connect(bearer(bob.token)), await connect(bearer(bob.token))];

    phone.say({ type: 'send', to: 'bob', text: 'lunch?' });
    for (const connection of [...bobs, laptop]) {
      const { type, from, to, text } = await connection.next();
      assert.deepEqual({ type, from, to, text }, { type: 'message', from: 'alice', to: 'bob', text: 'lunch?' });
    }
    assert.deepEqual(await phone.next(), { type: 'sent', to: 'bob', text: 'lunch?', reached: 3 });

    phone.say({ type: 'send', to: 'carol', text: 'hello?' });
    assert.equal((await phone.next()).reached, 0);
    // Who the message is from is the server's to say.
    bobs[0].say({ type: 'send', from: 'alice', to: 'alice', text: 'I am Alice' });
    assert.equal((await laptop.next()).to, 'carol');
    assert.equal((await laptop.next()).from, 'bob');
  });

  test('nonsense is answered, and the connection goes on', async () => {
    const { token } = await tokenOf('bob');
    const bob = await connect(bearer(token));
    for (const nonsense of ['{', 'null', '[]', '7', '{"type":"send"}', '{"type":"send","to":"bob","text":1}', '{"type":"renew","token":"x"}', '{"type":"constructor"}']) {
      bob.say(nonsense);
      assert.equal((await bob.next()).type, 'error', nonsense);
    }
  });

  test('the end of the token is the end of the connection, unless it was renewed', async () => {
    const brief = await startExample('example/auth/server.mjs', { TOKEN_SECONDS: '3', ALLOW_QUERY_TOKEN: '1' });
    try {
      const alice = await tokenOf('alice', brief);
      const left = await connect(bearer(alice.token), brief);
      const right = await connect({ query: `?token=${alice.token}` }, brief);
      assert.equal(right.status, undefined, 'allowed by ALLOW_QUERY_TOKEN');
      const bob = await tokenOf('bob', brief);
      right.say({ type: 'renew', token: bob.token });
      assert.deepEqual(await right.next(), { type: 'error', message: 'renew: token of another user' });

      const renewed = await fetch(`${brief.url}/renew`, { method: 'POST', headers: { authorization: `Bearer ${alice.token}` } }).then((response) => response.json());
      right.say({ type: 'renew', token: renewed.token });
      assert.deepEqual(await right.next(), { type: 'renewed', expires: renewed.expires });

      const end = await left.closed;
      assert.deepEqual([end.code, end.reason], [4001, 'token expired']);
      assert.ok(end.at >= alice.expires, 'not before its time');
      assert.deepEqual(await connect(bearer(alice.token), brief), {
        status: 401, authenticate: 'Bearer error="invalid_token", error_description="token expired"', body: 'token expired\n',
      });
      assert.equal((await fetch(`${brief.url}/renew`, { method: 'POST', headers: { authorization: `Bearer ${alice.token}` } })).status, 401);
      const later = await right.closed;
      assert.equal(later.code, 4001);
      assert.ok(later.at >= renewed.expires, 'the renewed one lives on to its own end');
    } finally {
      assert.equal(await brief.stop(), ENDED);
    }
  });

  test('guessing passwords is slowed down', async () => {
    const statuses = [];
    for (let attempt = 0; attempt < 12; attempt += 1) statuses.push((await login({ user: 'alice', password: `guess ${attempt}` })).status);
    assert.equal(statuses.at(-1), 429);
  });
});
