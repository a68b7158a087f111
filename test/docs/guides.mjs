// What the programs of docs/guide and docs/migrating are asked; docs/checks.mjs says how.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { SignJWT } from 'jose';
import WebSocket from 'ws';

import { findNode, NODE_VERSIONS } from '../runner/runtimes.mjs';
import { client, endsOnSigterm, refusal } from './checks.mjs';
import { programs, read, root } from './pages.mjs';
import { must, within } from './programs.mjs';

const closed = ({ ws }) => {
  const ended = new Promise((resolve) => {
    ws.on('close', (code, reason) => resolve([code, String(reason)]));
  });
  return within(ended, () => 'a close');
};
const http = (ports, port, where, options) =>
  fetch(`http://127.0.0.1:${ports.get(port)}${where}`, options);
/** As many clients as there are addresses, one after the other. */
async function clients(t, ...urls) {
  const all = [];
  for (const url of urls) all.push(await client(t, url));
  return all;
}
const from = 'server';
/** Windows has no port that several processes share. */
const reusePort = process.platform !== 'win32';

async function echo(t, program) {
  const one = await client(t, program.url);
  one.say('hello');
  assert.equal(await one.hear(), 'hello');
  await endsOnSigterm(program);
}

/** A page, and sockets at /ws: what one says the others hear. */
async function pageAndSockets(t, program) {
  assert.equal(await (await http(program.ports, '8080', '/')).text(), 'a page');
  const [ada, bob] = await clients(t, `${program.url}/ws`, `${program.url}/ws`);
  ada.say('hello');
  assert.equal(await bob.hear(), 'hello');
  await endsOnSigterm(program);
}

/** Two people with names hear each other. A client without one is refused, or closed. */
const named = (path, refused) => async (t, program) => {
  const { url } = program;
  const at = new URL(path, url).href;
  if (refused) assert.equal(await refusal(at), 401);
  else assert.deepEqual(await closed(await client(t, at)), [4401, 'who are you?']);
  const [ada, bob] = await clients(t, `${at}?name=ada`, `${at}?name=bob`);
  ada.say('hello');
  for (const one of [ada, bob]) assert.match(await one.hear(), /^(null left|ada: hello)$/);
  ada.ws.close();
  await closed(ada);
  while ((await bob.hear()) !== 'ada left');
  bob.ws.close();
  await closed(bob);
  await endsOnSigterm(program);
};

/** A client that speaks `wsbroker.v1`, by hand. */
async function speaker(t, url, token) {
  const one = await client(t, url, 'wsbroker.v1');
  one.tell = (message) => one.say(JSON.stringify(message));
  one.hears = async () => {
    const text = await one.hear();
    return text.startsWith('{') ? JSON.parse(text) : text;
  };
  one.tell({ type: 'hello', client: '0'.repeat(32), token });
  assert.deepEqual(await one.hears(), { type: 'welcome' });
  return one;
}

async function subscribes(t, program) {
  const ada = await speaker(t, program.url, 'ada-secret');
  const nobody = await speaker(t, program.url, 'guessed');
  const asked = { type: 'subscribe', channels: [{ channel: 'chat:news' }] };
  nobody.tell(asked);
  assert.deepEqual(await nobody.hears(), { type: 'refused', channel: 'chat:news', reason: 'forbidden' });
  ada.tell(asked);
  assert.equal((await ada.hears()).type, 'subscribed');
  ada.tell({ type: 'publish', id: '1', channel: 'chat:news', data: 'x' });
  assert.equal((await ada.hears()).reason, 'forbidden');
  ada.tell({ type: 'publish', id: '2', channel: 'chat:lobby', data: 'x' });
  assert.equal((await ada.hears()).type, 'published');
  await endsOnSigterm(program);
}

async function publishes(t, program) {
  const ada = await speaker(t, program.url, 'ada');
  ada.tell({ type: 'subscribe', channels: [{ channel: 'chat:1' }] });
  assert.equal((await ada.hears()).type, 'subscribed');
  ada.tell({ type: 'publish', id: '1', channel: 'chat:1', data: 'x'.repeat(501) });
  assert.equal((await ada.hears()).message, 'too long');
  ada.tell({ type: 'publish', id: '2', channel: 'chat:1', data: 'hello' });
  const heard = [await ada.hears(), await ada.hears()];
  assert.ok(heard.includes('1 chat:1\n{"from":"ada","text":"hello"}'));
  await endsOnSigterm(program);
}

/** The list has everybody, and the news comes to those who were there before. */
async function isHere(t, program) {
  const channel = 'here:lobby';
  const enter = async (name, since) => {
    const one = await speaker(t, program.url, name);
    one.tell({ type: 'subscribe', channels: [{ channel, since }] });
    const answer = await one.hears();
    one.tell({ type: 'request', id: 1, data: null });
    return { one, answer, list: (await one.hears()).data };
  };
  const ada = await enter('ada');
  assert.deepEqual([ada.answer.type, ada.list], ['subscribed', ['ada']]);
  const bob = await enter('bob');
  assert.deepEqual(bob.list.toSorted(), ['ada', 'bob']);
  assert.match(await ada.one.hears(), /{"came":"bob"}$/);
  bob.one.ws.close();
  await closed(bob.one);
  assert.match(await ada.one.hears(), /{"left":"bob"}$/);
  const again = await enter('bob', bob.answer.position);
  assert.deepEqual([again.answer.recovered, again.list.toSorted()], [false, ['ada', 'bob']]);
  await endsOnSigterm(program);
}

/** The page of the guide loses its connection, and misses nothing. */
async function recovers(t, program) {
  const folder = mkdtempSync(path.join(tmpdir(), 'wsb-page-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { files } = programs('docs/guide/history.md').find(({ name }) => name === 'page');
  writeFileSync(path.join(folder, 'client.mjs'), files['client.mjs']);
  const { join } = await import(pathToFileURL(path.join(folder, 'client.mjs')).href);
  const sockets = [];
  const before = globalThis.WebSocket;
  globalThis.WebSocket = class extends WebSocket {
    constructor(url) {
      super(url);
      sockets.push(this);
    }
  };
  t.after(() => {
    // For a page that is about to come back.
    globalThis.WebSocket = before ?? class {};
    for (const socket of sockets) {
      socket.onclose = null;
      socket.terminate();
    }
  });
  const heard = [];
  join(program.url, { onMessage: (text) => heard.push(text), onLost: () => heard.push('lost') });
  const other = await client(t, program.url);
  const heardAll = (count) => within((async () => {
    while (heard.length < count) await sleep(5);
  })(), () => `message ${count}`);
  const publisher = async (text) => other.say(JSON.stringify({ say: text }));
  // Until it has subscribed it hears nothing.
  while (heard.length === 0) {
    await publisher('first');
    await sleep(20);
  }
  // Then it hears all that comes before this, too.
  await publisher('known');
  await within((async () => {
    while (heard.at(-1) !== 'known') await sleep(5);
  })(), () => 'the last of the first');
  const known = heard.length;
  sockets[0].terminate();
  await publisher('while it was away');
  await heardAll(known + 1);
  await publisher('and after that');
  await heardAll(known + 2);
  assert.deepEqual(heard.slice(known), ['while it was away', 'and after that']);
  assert.equal(sockets.length, 2);
  await endsOnSigterm(program);
}

/** The client of the guide, on a Node that has a WebSocket. */
async function reconnects(t, program) {
  const { binary, why } = await findNode(NODE_VERSIONS.at(-1));
  assert.ok(binary, why);
  const child = spawn(binary, ['client.mjs'], { cwd: program.folder, stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  let said = '';
  await within(new Promise((resolve) => {
    child.stdout.on('data', (chunk) => {
      said += chunk;
      if (said.includes('hello')) resolve();
    });
  }), () => `a message; it said:\n${said}`);
  assert.equal(said, "connecting\nopen\nstate { youAsked: 'lobby' }\n1 hello\n");
  await endsOnSigterm(program);
}

/** Two clients of the server helper, and what one says to the other. */
async function helped(t, program) {
  const [ada, bob] = await clients(t, program.url, program.url);
  for (const one of [ada, bob]) {
    one.say('{"event":"authenticate","data":{"token":"secret"}}');
    assert.equal(JSON.parse(await one.hear()).event, 'connected');
  }
  ada.say('{"event":"chat","data":"hello"}');
  const { event, data } = JSON.parse(await bob.hear());
  assert.deepEqual({ event, data }, { event: 'chat', data: 'hello' });
  await endsOnSigterm(program);
}

/** The texts of errors that the page shows are those that users see. */
async function shown(t, { url }) {
  const one = await client(t, url);
  one.say('hello');
  assert.equal(await one.hear(), 'hello');
  const { start } = createRequire(import.meta.url)(path.join(root, 'lib/index.cjs'));
  const folder = mkdtempSync(path.join(tmpdir(), 'wsb-texts-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const module = (name, text) => {
    writeFileSync(path.join(folder, name), text);
    return { bind: '127.0.0.1:0', threads: 1, workerPath: path.join(folder, name) };
  };
  const slow = 'await new Promise((resolve) => setTimeout(resolve, 60_000));';
  const page = read('docs/guide/troubleshooting.md');
  for (const [text, options] of [
    ['unknown option "port"', { port: 8080 }],
    ['failed to load', module('throws.mjs', "throw new Error('no database');")],
    [
      '"handelOpen" is not a handler; did you mean "handleOpen"?',
      module('misspelled.mjs', 'export function handelOpen() {}'),
    ],
    [
      'there are no handlers, only "open" (wsbroker calls it "handleOpen")',
      module('foreign.mjs', 'export default { open() {} };'),
    ],
    ['did not load within', { ...module('slow.mjs', slow), startTimeout: 500 }],
  ]) {
    await assert.rejects(start(options), ({ message }) => message.includes(text), text);
    assert.ok(page.includes(text), text);
  }
}

/** The site of a guide to sessions: who has logged in there is known at its sockets, and nobody else. */
const site = ({ log, cookieName, forged, ask }) => async (t, program) => {
  const { url, ports } = program;
  const origin = `http://127.0.0.1:${ports.get('8080')}`;
  /** A browser's cookies: those that answers have set so far. */
  const jar = new Map();
  const cookie = () => [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
  const post = async (where, fields, encode = (given) => new URLSearchParams(given)) => {
    const body = fields && encode(fields);
    const headers = { cookie: cookie(), origin, ...(typeof body === 'string' ? { 'content-type': 'application/json' } : {}) };
    return kept(await fetch(origin + where, { method: 'POST', redirect: 'manual', headers, body }));
  };
  const get = async (where) => kept(await fetch(origin + where, { headers: { cookie: cookie() } }));
  function kept(answer) {
    for (const text of answer.headers.getSetCookie?.() ?? []) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(text);
      jar.set(name, value);
    }
    return answer;
  }
  assert.equal(await refusal(`${url}/ws`, { origin }), 401, 'nobody');
  await log({ post, get });
  assert.ok(jar.get(cookieName), `${cookieName} is among ${[...jar.keys()]}`);
  for (const wrong of [...forged, `${jar.get(cookieName).slice(0, -6)}AAAAAA`]) {
    assert.equal(await refusal(`${url}/ws`, { origin, headers: { cookie: `${cookieName}=${wrong}` } }), 401, wrong);
  }
  const foreign = { origin: 'http://elsewhere.example', headers: { cookie: cookie() } };
  assert.equal(await refusal(`${url}/ws`, foreign), 403);
  const ada = await client(t, `${url}/ws`, { origin, headers: { cookie: `theme=dark; ${cookie()}` } });
  ada.say('hello');
  assert.equal(await ada.hear(), 'ada said: hello');
  await ask?.({ post, ada, again: () => refusal(`${url}/ws`, { origin, headers: { cookie: cookie() } }) });
  await endsOnSigterm(program);
};
const nonsense = ['', 's%3Aunknown.x', 'unknown.x', '%E0', '%00', 'a'.repeat(2000)];

export const GUIDES = {
  'docs/guide/sessions.md': {
    express: {
      on: ['node', 'bun'],
      ask: site({
        log: ({ post }) => post('/login'),
        cookieName: 'connect.sid',
        forged: nonsense,
        async ask({ post, ada, again }) {
          const ended = closed(ada);
          await post('/logout');
          assert.deepEqual(await ended, [4401, 'logged out']);
          assert.equal(await again(), 401, 'the session has ended');
        },
      }),
    },
    passport: {
      on: ['node', 'bun'],
      also: 'express',
      ask: site({
        async log({ post }) {
          assert.equal((await post('/login', { username: 'ada', password: 'wrong' })).status, 401);
          assert.equal((await post('/login', { username: 'ada', password: 'secret' })).status, 200);
        },
        cookieName: 'connect.sid',
        forged: nonsense,
      }),
    },
    fastify: {
      on: ['node', 'bun'],
      ask: site({ log: ({ post }) => post('/login'), cookieName: 'sessionId', forged: nonsense }),
    },
    better: {
      on: ['newest'],
      ask: site({
        async log({ post }) {
          const ada = { name: 'ada', email: 'ada@example.com', password: 'long enough' };
          const answer = await post('/api/auth/sign-up/email', ada, JSON.stringify);
          assert.equal(answer.status, 200, await answer.text());
        },
        cookieName: 'better-auth.session_token',
        forged: nonsense,
      }),
    },
    authjs: {
      on: ['node', 'bun'],
      ask: site({
        async log({ post, get }) {
          const { csrfToken } = await (await get('/auth/csrf')).json();
          await post('/auth/callback/credentials', { csrfToken, username: 'ada', password: 'wrong' });
          await post('/auth/callback/credentials', { csrfToken, username: 'ada', password: 'secret' });
        },
        cookieName: 'authjs.session-token',
        forged: nonsense,
      }),
    },
  },
  'docs/server-helper.md': {
    bun: { on: ['bun'], ask: helped },
    native: { on: ['node', 'bun'], ask: helped },
    threads: { ask: helped },
  },
  'docs/guide/nest.md': {
    nest: {
      on: ['compiled'],
      async ask(t, program) {
        const { url, ports } = program;
        assert.equal(await (await http(ports, '3000', '/')).text(), 'a page');
        assert.equal(await refusal(`${url}/chat`), 401);
        const [ada, bob] = await clients(t, `${url}/chat?name=ada`, `${url}/chat?name=bob`);
        for (const one of [ada, bob]) {
          one.say('{"event":"join","data":"tea"}');
          assert.equal(await one.hear(), '{"event":"joined","data":"tea"}');
        }
        ada.say('{"event":"say","data":{"room":"tea","text":"hot"}}');
        for (const one of [ada, bob]) assert.deepEqual(JSON.parse(await one.hear()), { event: 'said', data: { from: 'ada', text: 'hot' } });
        await endsOnSigterm(program);
      },
    },
  },
  'docs/guide/crossws.md': {
    hooks: {
      on: ['node', 'bun'],
      async ask(t, program) {
        assert.equal(await refusal(program.url), 401);
        const [ada, bob] = await clients(t, `${program.url}/?user=ada`, `${program.url}/?user=bob`);
        ada.say('hello');
        assert.deepEqual([await ada.hear(), await bob.hear()], ['ada: hello', 'ada: hello']);
        await endsOnSigterm(program);
      },
    },
    h3: {
      on: ['node', 'bun'],
      ask: pageAndSockets,
    },
    nitro: {
      on: ['node', 'bun'],
      prepare: (folder) => void must(process.execPath, [path.join(root, 'node_modules/nitro/dist/cli/index.mjs'), 'build'], { cwd: folder }),
      ask: pageAndSockets,
    },
    graphql: {
      async ask(t, program) {
        const ada = await client(t, `${program.url}/graphql`, 'graphql-transport-ws');
        ada.say('{"type":"connection_init"}');
        assert.equal(await ada.hear(), '{"type":"connection_ack"}');
        ada.say('{"id":"1","type":"subscribe","payload":{"query":"{ hello }"}}');
        assert.deepEqual(JSON.parse(await ada.hear()).payload, { data: { hello: 'world' } });
        await endsOnSigterm(program);
      },
    },
    yjs: { on: ['newest', 'bun'], ask: (t, program) => endsOnSigterm(program) },
  },
  'docs/guide/recipes.md': {
    server: { on: ['node', 'bun'], ask: echo },
    cookie: {
      on: ['node', 'bun'],
      async ask(t, program) {
        const { url, ports } = program;
        const answer = await http(ports, '8081', '/login', { method: 'POST' });
        const cookie = answer.headers.get('set-cookie').split(';')[0];
        const origin = `http://127.0.0.1:${ports.get('8081')}`;
        assert.equal(await refusal(url), 401);
        assert.equal(await refusal(url, { headers: { cookie: `${cookie}x` } }), 401);
        const foreign = { headers: { cookie }, origin: 'https://elsewhere.example' };
        assert.equal(await refusal(url, foreign), 403);
        const ada = await client(t, url, { headers: { cookie: `theme=dark; ${cookie}` }, origin });
        ada.say('hello');
        assert.equal(await ada.hear(), 'ada said: hello');
        await endsOnSigterm(program);
      },
    },
    traces: {
      on: ['node', 'bun'],
      async ask(t, program) {
        const traceId = '0af7651916cd43dd8448eb211c80319c';
        const headers = { traceparent: `00-${traceId}-b7ad6b7169203331-01` };
        const one = await client(t, program.url, { headers });
        one.say('hello');
        assert.equal(await one.hear(), 'hello');
        one.ws.close();
        await closed(one);
        await endsOnSigterm(program);
        // Each span is an object on several lines.
        const spans = program.said().split(/^\}$/m).map((text) => Object.fromEntries([...text.matchAll(/^ *(traceId|id|name|spanId): '([^']*)'/gm)].map(([, key, value]) => [key === 'spanId' ? 'parent' : key, value])));
        const span = (name) => spans.find((one) => one.name === name);
        assert.equal(span('ws.open').traceId, traceId);
        assert.equal(span('ws.open').parent, 'b7ad6b7169203331');
        assert.equal(span('find user').parent, span('ws.open').id);
        assert.equal(span('store').parent, span('ws.message').id);
        assert.notEqual(span('ws.message').traceId, traceId, 'a message has a trace of its own');
        assert.ok(span('ws.close'));
      },
    },
    jwt: {
      async ask(t, { url }) {
        const key = new TextEncoder().encode('change me');
        const made = new SignJWT({ sub: 'ada', aud: 'chat' }).setProtectedHeader({ alg: 'HS256' });
        const jwt = await made.setExpirationTime('2s').sign(key);
        assert.equal(await refusal(url), 401);
        assert.equal(await refusal(url, ['chat.v1', `bearer.${jwt.slice(0, -4)}`]), 401);
        const ada = await client(t, url, ['chat.v1', `bearer.${jwt}`]);
        assert.equal(ada.ws.protocol, 'chat.v1');
        ada.say('hello');
        assert.equal(await ada.hear(), 'ada said: hello');
        await sleep(2100);
        ada.say('hello');
        assert.deepEqual(await closed(ada), [4401, 'token expired']);
      },
    },
    limit: {
      from,
      async ask(t, { url }) {
        const ada = `${url}/?user=ada`;
        const [first] = await clients(t, ada, ada, ada);
        assert.equal(await refusal(`${url}/?user=ada`), 429);
        await client(t, `${url}/?user=bob`);
        first.ws.close();
        await closed(first);
        // Its place is free when the server has seen the end.
        const again = async () => client(t, ada).catch(() => sleep(10).then(again));
        await within(again(), () => 'a place');
      },
    },
    kick: {
      async ask(t, program) {
        const { url, ports } = program;
        const ada = `${url}/?user=ada`;
        const [one, two, bob] = await clients(t, ada, ada, `${url}/?user=bob`);
        const ends = [closed(one), closed(two)];
        const answer = await http(ports, '8081', '/kick/ada', { method: 'POST' });
        assert.equal(await answer.text(), '2 connections closed\n');
        assert.deepEqual(await Promise.all(ends), [[4003, 'kicked'], [4003, 'kicked']]);
        bob.say('hello');
        assert.equal(await bob.hear(), 'bob said: hello');
        await endsOnSigterm(program);
      },
    },
    room: {
      from,
      async ask(t, { url }) {
        const bob = `${url}/?name=bob`;
        const [ada] = await clients(t, `${url}/?name=ada`, bob, bob);
        ada.say('/who');
        assert.equal(await ada.hear(), 'ada, bob');
        ada.say('hello');
        assert.equal(await ada.hear(), 'ada: hello');
      },
    },
    presence: {
      on: ['node', 'bun'],
      async ask(t, program) {
        const one = await client(t, program.url);
        assert.equal(await one.hear(), '{"online":1}');
        await client(t, program.url);
        assert.equal(await one.hear(), '{"online":2}');
        one.say('online?');
        assert.equal(await one.hear(), '{"online":2}');
        await endsOnSigterm(program);
      },
    },
    json: {
      from,
      async ask(t, { url }) {
        const one = await client(t, url);
        const answer = async (message) => {
          one.say(typeof message === 'string' ? message : JSON.stringify(message));
          return JSON.parse(await one.hear());
        };
        assert.equal((await answer('{')).error, 'a message must be JSON');
        assert.equal((await answer('null')).error, 'unknown type');
        assert.equal((await answer({ type: 'constructor' })).error, 'unknown type');
        assert.equal((await answer({ type: 'join' })).error, 'wrong join');
        assert.equal((await answer({ type: 'join', room: 'tea' })).type, 'joined');
        assert.equal((await answer({ type: 'say', room: 'tea', text: 'hello' })).text, 'hello');
        assert.equal((await answer({ type: 'leave', room: 'tea' })).type, 'left');
      },
    },
    ack: {
      from,
      async ask(t, { url }) {
        const one = await client(t, url);
        one.say('{ "id": 7, "text": "tea" }');
        assert.deepEqual(JSON.parse(await one.hear()), { ack: 7, number: 1 });
        one.say('{ "id": 8 }');
        assert.deepEqual(JSON.parse(await one.hear()), { ack: 8, error: 'an order needs a text' });
      },
    },
    receipt: {
      from,
      async ask(t, { url }) {
        const one = await client(t, url);
        one.say('subscribe');
        assert.equal(await one.hear(), await one.hear());
        one.say('received 1');
        assert.equal(await one.hear(), 'thank you');
      },
    },
  },
  'docs/guide/operating.md': {
    drain: {
      on: ['node', 'bun'],
      async ask(t, { url, child, exited, said }) {
        const one = await client(t, new URL('/ws', url).href);
        const end = closed(one);
        const ready = async () => (await fetch(new URL('/readyz', url.replace('ws:', 'http:')), { headers: { connection: 'close' } })).status;
        assert.equal(await ready(), 200);
        child.kill('SIGTERM');
        while ((await ready()) !== 503);
        assert.deepEqual(await end, [1012, 'retry-after=1']);
        assert.deepEqual(await within(exited, () => 'the end'), { code: 0, signal: null });
        assert.match(said(), /1 connections closed, 0 cut/);
      },
    },
  },
  'docs/guide/reload.md': {
    reload: {
      on: process.platform === 'win32' ? [] : ['node', 'bun'],
      async ask(t, { url, child, folder, said, exited }) {
        const one = await client(t, url);
        one.say('hello');
        assert.equal(await one.hear(), 'version 1: hello');
        const file = path.join(folder, 'worker.mjs');
        writeFileSync(file, readFileSync(file, 'utf8').replace('version 1', 'version 2'));
        child.kill('SIGHUP');
        const reloaded = async () => {
          while (!/workers started, \d+ stopped, 0 of them cut/.test(said())) await sleep(20);
        };
        await within(reloaded(), () => `the reload: ${said()}`);
        one.say('hello');
        assert.equal(await one.hear(), 'version 2: hello');
        child.kill('SIGTERM');
        assert.deepEqual(await within(exited, () => 'the end'), { code: 0, signal: null });
      },
    },
  },
  'docs/guide/deployment.md': {
    pm2: { ask: echo },
    deploy: {
      on: reusePort ? ['node', 'bun'] : [],
      async ask(t, { url, ports, child, exited, said }) {
        const one = await client(t, url);
        // Its port may be opened later than that of the sockets.
        const healthy = async () => {
          while ((await http(ports, '8081', '/').catch(() => undefined))?.status !== 200) await sleep(10);
        };
        await within(healthy(), () => 'a health check that passes');
        const end = closed(one);
        child.kill('SIGTERM');
        const unready = async () => {
          while ((await http(ports, '8081', '/')).status !== 503) await sleep(10);
        };
        await within(unready(), () => 'a health check that fails');
        assert.deepEqual(await end, [1012, 'retry-after=1']);
        assert.deepEqual(await within(exited, () => 'the end'), { code: 0, signal: null });
        assert.match(said(), /1 connections closed, 0 cut/);
      },
    },
    processes: {
      on: reusePort ? ['node'] : [],
      async ask(t, program) {
        const both = async () => {
          while ((program.said().match(/listening on/g) ?? []).length < 2) await sleep(20);
        };
        await within(both(), () => `two processes: ${program.said()}`);
        const all = [];
        const pids = new Set();
        for (let at = 0; at < 24; at++) {
          all.push(await client(t, program.url));
          all[at].say('pid');
          pids.add(await all[at].hear());
        }
        // Elsewhere one process may get them all.
        if (process.platform === 'linux') assert.equal(pids.size, 2);
        all[0].say('hello');
        for (const one of all) assert.equal(await one.hear(), 'hello');
        await endsOnSigterm(program);
      },
    },
  },
  'docs/guide/cluster.md': {
    chat: { on: ['node', 'bun'], ask: echo },
    emitter: { on: ['node', 'bun'] },
    listening: {
      async ask(t, { url }) {
        const one = await client(t, url);
        one.say('enter');
        assert.equal(await one.hear(), '{"state":["tea","coffee"]}');
      },
    },
  },
  'docs/guide/monitoring.md': {
    metrics: {
      on: ['node', 'bun'],
      async ask(t, program) {
        await client(t, program.url);
        const text = await (await http(program.ports, '9090', '/metrics')).text();
        assert.match(text, /^wsbroker_connections 1(\.0)?$/m);
        assert.match(text, /^wsbroker_rejects_total\{cause="origin"\} 0$/m);
        assert.match(text, /^wsbroker_worker_in_flight\{worker="\d+"\} \d/m);
        await endsOnSigterm(program);
      },
    },
  },
  'docs/guide/troubleshooting.md': { code: { ask: shown } },
  'docs/guide/channels.md': { channels: { ask: subscribes }, publishing: { ask: publishes }, presence: { ask: isHere } },
  'docs/guide/history.md': { history: { ask: recovers } },
  'docs/guide/client.md': { client: { from, ask: reconnects } },
  'docs/guide/performance.md': { measure: { ask: echo } },
  'docs/migrating/ws.md': { before: { ask: named('/', false) }, after: { ask: named('/', true) } },
  'docs/migrating/uwebsockets.md': { after: { ask: named('/chat', true) } },
  'docs/migrating/bun.md': {
    before: { on: ['bun'], ask: named('/', true) },
    after: { on: ['bun'], ask: named('/', true) },
  },
  'docs/migrating/socket.io.md': {
    before: {
      // The protocol of Engine.IO 4 and Socket.IO 5, as far as it is needed here.
      async ask(t, program) {
        const join = async (name) => {
          const one = await client(t, `${program.url}/socket.io/?EIO=4&transport=websocket`);
          assert.match(await one.hear(), /^0/);
          one.say(`40${JSON.stringify({ name })}`);
          assert.match(await one.hear(), /^40/);
          one.say('42["join","tea"]');
          return one;
        };
        const ada = await join('ada');
        const bob = await join('bob');
        assert.equal(await ada.hear(), '42["joined","bob"]');
        bob.say('421["say","tea","hello"]');
        assert.equal(await ada.hear(), '42["said",{"from":"bob","text":"hello"}]');
        assert.deepEqual([await bob.hear(), await bob.hear()].sort(), [
          '42["said",{"from":"bob","text":"hello"}]',
          '431[{"ok":true}]',
        ]);
        bob.say('422["say","coffee","hello"]');
        assert.equal(await bob.hear(), '432[{"error":"not in this room"}]');
        await endsOnSigterm(program);
      },
    },
    after: {
      async ask(t, program) {
        const join = async (name) => {
          const one = await client(t, `${program.url}/?name=${name}`);
          one.say('{"event":"join","data":{"room":"tea"},"id":0}');
          assert.equal(await one.hear(), '{"id":0}');
          return one;
        };
        assert.equal(await refusal(program.url), 401);
        const ada = await join('ada');
        const bob = await join('bob');
        assert.equal(await ada.hear(), '{"event":"joined","data":"bob"}');
        bob.say('{"event":"say","data":{"room":"tea","text":"hello"},"id":1}');
        assert.equal(await ada.hear(), '{"event":"said","data":{"from":"bob","text":"hello"}}');
        assert.deepEqual([await bob.hear(), await bob.hear()], [
          '{"event":"said","data":{"from":"bob","text":"hello"}}',
          '{"id":1,"answer":{"ok":true}}',
        ]);
        bob.say('{"event":"say","data":{"room":"coffee","text":"hello"},"id":2}');
        assert.equal(await bob.hear(), '{"id":2,"answer":{"error":"not in this room"}}');
        await endsOnSigterm(program);
      },
    },
  },
};
