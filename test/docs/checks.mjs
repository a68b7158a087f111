// What individual programs of the documentation are asked, beyond that they start: by page and NAME.
//
//   on      runtimes: 'node', 'bun'. By default Node, and Bun for a program in TypeScript
//   ask     called with (t, { url, urls, child, exited, said }); `url` is where the program listens first
//
// A program without an entry here has only to start, or to end with status 0.
import assert from 'node:assert/strict';
import WebSocket from 'ws';

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

const chat = (t, { url }) => everybodyHearsEverybody(t, url);

export const CHECKS = {
  'README.md': {
    opening: { on: ['node', 'bun'], ask: chat },
    esm: { on: ['node', 'bun'], ask: chat },
    cjs: { on: ['node', 'bun'], ask: chat },
    bun: { on: ['bun'], ask: chat },
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
      },
    },
  },
};
