// What individual programs of the documentation are asked, beyond that they start: by page and
// NAME.
//
//   on      runtimes: 'node', 'bun', 'newest', 'compiled' (see programs.mjs). By default Node, and
//           Bun for a program in TypeScript
//   from    the NAME of a program on the page that starts this one, a worker module
//   also    the NAME of a program on the page whose other files this one needs
//   prepare called with the folder that the program is pasted into, before it starts
//   ask     called with (t, { url, urls, ports, child, exited, said }); `url` is where the program
//           listens first
//
// A program without an entry here has only to start, or to end with status 0.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import WebSocket from 'ws';

import { authority } from '../e2e/certificates.mjs';
import { GUIDES } from './guides.mjs';
import { within } from './programs.mjs';

/** A client that keeps what it hears. */
export async function client(t, url, ...options) {
  const ws = new WebSocket(url, ...options);
  t.after(() => ws.terminate());
  const heard = [];
  const waiting = [];
  ws.on('message', (data) => {
    heard.push(String(data));
    waiting.shift()?.();
  });
  await within(new Promise((resolve, reject) => ws.on('open', resolve).on('error', reject)), () => `a connection to ${url}`);
  return {
    ws,
    say: (text) => ws.send(text),
    async hear() {
      if (heard.length === 0) await within(new Promise((resolve) => waiting.push(resolve)), () => 'a message');
      return heard.shift();
    },
  };
}

/** The status with which an upgrade is refused. */
export async function refusal(url, ...options) {
  const ws = new WebSocket(url, ...options);
  ws.on('error', () => {});
  const answer = await within(new Promise((resolve) => ws.on('unexpected-response', (_, response) => resolve(response))), () => `a refusal by ${url}`);
  ws.terminate();
  return answer.statusCode;
}

export async function everybodyHearsEverybody(t, url) {
  const one = await client(t, url);
  const two = await client(t, url);
  one.say('hello');
  const [first, second] = [await one.hear(), await two.hear()];
  assert.match(first, /^\d+: hello$/);
  assert.equal(first, second);
  two.say('hello yourself');
  assert.match(await one.hear(), /^\d+: hello yourself$/);
}

export async function endsOnSigterm({ child, exited }) {
  if (process.platform === 'win32') return; // no signals
  child.kill('SIGTERM');
  assert.deepEqual(await within(exited, () => 'the end'), { code: 0, signal: null });
}

/** A server where everybody hears everybody, and that ends when it is asked to. */
const chat = {
  on: ['node', 'bun'],
  async ask(t, program) {
    await everybodyHearsEverybody(t, program.url);
    await endsOnSigterm(program);
  },
};

export const CHECKS = {
  'README.md': { quick: chat },
  'docs/getting-started.md': {
    first: {
      async ask(t, program) {
        const stays = await client(t, program.url);
        const leaves = await client(t, program.url);
        leaves.say('hello');
        assert.match(await stays.hear(), /^\d+: hello$/);
        leaves.ws.close();
        assert.match(await stays.hear(), /^\d+ has left$/);
        await endsOnSigterm(program);
      },
    },
    opening: { on: ['node', 'bun'], ask: (t, { url }) => everybodyHearsEverybody(t, url) },
    cjs: chat,
    token: {
      async ask(t, program) {
        const { url } = program;
        assert.equal(await refusal(url), 401);
        const ada = await client(t, `${url}?key=k-123`);
        const bob = await client(t, `${url}?key=k-456`);
        ada.say('bob how are you?');
        assert.equal(await bob.hear(), 'ada: how are you?');
        bob.say('eve are you here?');
        assert.equal(await bob.hear(), 'eve is not here');
        await endsOnSigterm(program);
      },
    },
    paths: {
      async ask(t, { url }) {
        const echo = await client(t, `${url}/echo`);
        echo.say('hello');
        assert.equal(await echo.hear(), 'hello');
        await everybodyHearsEverybody(t, `${url}/chat`);
        assert.equal(await refusal(url), 404);
      },
    },
  },
  'docs/guide/typescript.md': {
    typescript: {
      on: ['bun', 'newest', 'compiled'],
      async ask(t, program) {
        assert.equal(await refusal(program.url), 401);
        const ada = await client(t, `${program.url}/?name=ada`);
        const bob = await client(t, `${program.url}/?name=bob`);
        ada.say('hello');
        assert.deepEqual([await ada.hear(), await bob.hear()], ['ada: hello', 'ada: hello']);
        await endsOnSigterm(program);
      },
    },
  },
  'docs/guide/http.md': {
    http: {
      async ask(t, program) {
        const origin = `http://127.0.0.1:${program.ports.get('8080')}`;
        const page = await (await fetch(origin)).text();
        assert.ok(page.includes("new WebSocket('/ws')"), page);
        const ada = await client(t, `${program.url}/ws`, { origin });
        assert.equal(await (await fetch(`${origin}/count`)).text(), '1 connections\n');
        assert.equal(await (await fetch(`${origin}/say`, { method: 'POST', body: 'The shop is open' })).text(), '1 reached\n');
        assert.equal(await ada.hear(), 'The shop is open');
        assert.equal(await refusal(`${program.url}/ws`, { origin: 'http://elsewhere.example' }), 403);
        assert.deepEqual(await (await fetch(`${origin}/readyz`)).json(), { ready: true });
        await endsOnSigterm(program);
      },
    },
  },
  'docs/guide/tls.md': {
    tls: {
      prepare(folder) {
        const { cert, key } = authority().issue('local', { names: ['localhost', '127.0.0.1'] });
        writeFileSync(path.join(folder, 'fullchain.pem'), cert);
        writeFileSync(path.join(folder, 'privkey.pem'), key);
      },
      async ask(t, program) {
        const ada = await client(t, program.url, { rejectUnauthorized: false });
        assert.equal(await ada.hear(), 'this is encrypted');
        if (process.platform !== 'win32') program.child.kill('SIGHUP');
        await client(t, program.url, { rejectUnauthorized: false });
        await endsOnSigterm(program);
      },
    },
  },
  'docs/guide/compression.md': {
    compression: {
      async ask(t, program) {
        const ada = await client(t, program.url, { perMessageDeflate: true });
        const text = 'news '.repeat(1000);
        ada.say(text);
        assert.equal(await ada.hear(), text);
        assert.match(ada.ws.extensions, /permessage-deflate/);
        await endsOnSigterm(program);
      },
    },
  },
  ...GUIDES,
};
