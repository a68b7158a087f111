// example/drain: SIGTERM lets readiness go, closes the connections one by one, and ends the process.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import WebSocket from 'ws';

import { startExample } from './example.mjs';
import { onWindows, until } from './harness.mjs';

const noSignals = onWindows && 'Windows has no SIGTERM that a process could answer';

async function connect(url) {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`);
  const closed = new Promise((resolve) => socket.once('close', (code, reason) => resolve([code, reason.toString()])));
  socket.on('error', () => {});
  await new Promise((resolve, reject) => socket.once('open', resolve).once('close', reject));
  return { socket, closed };
}

const status = async (url) => (await fetch(url, { headers: { connection: 'close' } })).status;

test('SIGTERM drains the example and ends it', { timeout: 60_000, skip: noSignals }, async (t) => {
  const server = await startExample('example/drain/server.mjs', { DELAY: '700', OVER: '600' });
  t.after(() => server.stop());
  const clients = await Promise.all(Array.from({ length: 12 }, () => connect(server.url)));
  assert.equal(await status(`${server.url}/readyz`), 200);
  const ended = server.stop();
  await until(async () => (await status(`${server.url}/readyz`)) === 503, 'readiness to go');
  assert.equal(await status(`${server.url}/healthz`), 200);
  const [{ socket }] = clients;
  const echo = new Promise((resolve) => socket.once('message', (data) => resolve(data.toString())));
  socket.send('still served');
  assert.equal(await echo, 'still served');
  for (const { closed } of clients) assert.deepEqual(await closed, [1012, 'retry-after=1']);
  assert.equal(await ended, 0);
  assert.match(server.output(), /12 connections are left\n[^]*\n12 connections closed, 0 cut\n$/u);
});

test('a second SIGTERM closes what is left at once', { timeout: 60_000, skip: noSignals }, async (t) => {
  const server = await startExample('example/drain/server.mjs', { DELAY: '3600000', OVER: '3600000' });
  t.after(() => server.stop());
  const { closed } = await connect(server.url);
  void server.stop();
  await until(async () => (await status(`${server.url}/readyz`)) === 503, 'readiness to go');
  const ended = server.stop();
  assert.deepEqual(await closed, [1012, 'retry-after=1']);
  assert.equal(await ended, 0);
});
