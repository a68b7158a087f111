// wsbroker/client in a browser, loaded as it ships: offline, asleep, and with a server that comes
// back without its memory.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { network } from '../client/network.mjs';
import { position, publish, serve } from '../e2e/channels-client.mjs';
import { until } from '../e2e/harness.mjs';
import { root } from '../runner/child.mjs';
import { launch, skip } from './chromium.mjs';

const CHANNEL = 'chat:1';

/**
 * Runs in the page before everything else. With `wakes` the client's time goes faster, and it does
 * not find out by itself that nothing comes any more: only when it is woken.
 */
function prepare(wakes) {
  // The longest waits, so that nothing but what the test does ends one; the test can change that.
  window.chance = 0;
  Math.random = () => window.chance;
  if (!wakes) return;
  const later = setTimeout;
  const now = performance.now.bind(performance);
  window.setTimeout = (run, ms, ...args) => (ms > 15_000 ? 0 : later(run, ms / 10, ...args));
  performance.now = () => now() * 10;
}

describe('wsbroker/client in a browser', { skip, timeout: 120_000 }, () => {
  let browser;
  let files;

  before(async () => {
    browser = await launch();
    files = http.createServer((request, response) => {
      if (request.url === '/') return response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>client</title>');
      if (!/^\/lib\/client[\w/-]*\.mjs$/.test(request.url)) return response.writeHead(404).end();
      response.writeHead(200, { 'content-type': 'text/javascript' }).end(readFileSync(path.join(root, request.url)));
    });
    await new Promise((resolve) => files.listen(0, '127.0.0.1', resolve));
  });

  after(async () => {
    await browser?.close();
    files?.close();
  });

  /** A page with a client that listens to the channel, and writes down what happens. */
  async function open(t, url, { backoff = { min: 600_000, max: 600_000 }, wakes = false } = {}) {
    const context = await browser.newContext();
    t.after(() => context.close());
    await context.addInitScript(prepare, wakes);
    const page = await context.newPage();
    const problems = [];
    page.on('pageerror', (error) => problems.push(error.message));
    await page.goto(`http://127.0.0.1:${files.address().port}/`);
    await page.evaluate(async ([to, waits, channel]) => {
      const { connect } = await import('/lib/client.mjs');
      window.seen = [];
      window.states = [];
      window.client = connect(to, { token: async () => 'ann', backoff: waits });
      window.client.on('state', ({ state }) => window.states.push(state));
      window.client.subscribe(channel, {
        onMessage: ({ data }) => window.seen.push(typeof data === 'string' ? data : [...data]),
        onLost: () => window.seen.push('lost'),
        getState: async () => window.seen.push('state'),
      });
    }, [url, backoff, CHANNEL]);
    const read = (name) => page.evaluate((key) => window[key], name);
    /** Waits until the page has seen exactly this. */
    const sees = async (...expected) => {
      await until(async () => (await read('seen')).length >= expected.length, `${expected}`, undefined, () => `; ${problems}`);
      assert.deepEqual(await read('seen'), expected);
    };
    const state = (expected) => until(async () => (await read('states')).at(-1) === expected, expected, undefined, () => `; ${problems}`);
    await sees('state');
    return { page, context, sees, state, problems };
  }

  test('offline, and online again: it comes back at once, and nothing is lost', async (t) => {
    const server = await serve(t);
    const net = await network(t, () => server.port);
    const { page, context, sees, state, problems } = await open(t, net.url);
    await page.evaluate((channel) => window.client.publish(channel, new Uint8Array([0, 255])), CHANNEL);
    await sees('state', [0, 255]);

    await context.setOffline(true);
    net.down();
    await state('waiting');
    await page.evaluate((channel) => {
      window.written = window.client.publish(channel, 'written offline');
    }, CHANNEL);
    await publish(server, CHANNEL, 'said meanwhile');
    net.up();
    // The wait would be ten minutes; the browser's event ends it.
    await page.evaluate(() => (window.chance = 0.9999));
    await context.setOffline(false);
    await state('open');
    await page.evaluate(() => window.written);
    await sees('state', [0, 255], 'said meanwhile', 'written offline');
    assert.deepEqual(problems, []);
  });

  test('asleep: the connection that has died meanwhile is found out when the page is seen again', async (t) => {
    const server = await serve(t);
    const net = await network(t, () => server.port);
    const { page, context, sees, state, problems } = await open(t, net.url, { backoff: { min: 10 }, wakes: true });
    const devtools = await context.newCDPSession(page);
    await devtools.send('Page.setWebLifecycleState', { state: 'frozen' });
    net.freeze();
    await publish(server, CHANNEL, 'said to one who sleeps');
    await devtools.send('Page.setWebLifecycleState', { state: 'active' });
    await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange', { bubbles: true })));
    await sees('state', 'said to one who sleeps');
    await state('open');
    assert.deepEqual(problems, []);
  });

  test('a server that was killed and comes back: the page is told, and shows the state before anything new', async (t) => {
    const first = await serve(t);
    let { port } = first;
    const net = await network(t, () => port);
    const { sees, state, problems } = await open(t, net.url, { backoff: { min: 50, max: 500 } });
    await publish(first, CHANNEL, 'old');
    await sees('state', 'old');
    first.child.kill('SIGKILL');
    await first.exited;
    await state('waiting');
    const second = await serve(t);
    await position(second, CHANNEL);
    ({ port } = second);
    await sees('state', 'old', 'lost', 'state');
    await publish(second, CHANNEL, 'new');
    await sees('state', 'old', 'lost', 'state', 'new');
    assert.deepEqual(problems, []);
  });
});
