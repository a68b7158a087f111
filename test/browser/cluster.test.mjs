// example/cluster in a real browser: two sockets on one page, and Redis between them, killed and
// started again.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { startExample } from '../e2e/example.mjs';
import { launch, skip as noBrowser } from './chromium.mjs';
import { assertLogsAreAroundLists, assertReadable } from './contrast.mjs';

const out = fileURLToPath(new URL('../.out/', import.meta.url));
const noRedis = spawnSync('redis-server', ['--version']).status === 0 ? false : 'no redis-server; enable with: apt-get install redis-server';
if (noRedis) console.log(`skipped: ${noRedis}`);

describe('example/cluster in a browser', { skip: noBrowser || noRedis, timeout: 120_000 }, () => {
  let browser;
  let server;
  const problems = [];

  before(async () => {
    mkdirSync(out, { recursive: true });
    browser = await launch();
    server = await startExample('example/cluster/server.mjs');
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  async function visit({ prepare, ...options } = {}) {
    const page = await browser.newPage({ viewport: { width: 1200, height: 760 }, ...options });
    page.setDefaultTimeout(15_000);
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
    await prepare?.(page);
    await page.goto(server.url);
    for (const name of ['north', 'south']) {
      await side(page, name).getByRole('status').filter({ hasText: /^connected$/u }).waitFor();
      await bus(page, name, 'ready');
    }
    return page;
  }

  const side = (page, name) => page.getByRole('region', { name: `Instance ${name}` });
  const bus = (page, name, state) => side(page, name).getByRole('status').filter({ hasText: `bus ${state}` }).waitFor();
  const log = (page, name) => page.getByRole('log', { name: `Messages on ${name}` });
  const say = async (page, name, text) => {
    await page.getByLabel(`Message on ${name}`, { exact: true }).fill(text);
    await page.keyboard.press('Enter');
    await log(page, name).getByText(text).waitFor();
  };

  /** Just after a subscription, or when the bus is ready again, a message may not cross yet. */
  const crosses = async (page, from, to) => {
    for (let attempt = 0; ; attempt += 1) {
      const probe = `Do you hear ${from}, ${to}? (${attempt})`;
      await say(page, from, probe);
      const arrived = await log(page, to).getByText(probe).waitFor({ timeout: 1_000 }).then(() => true, () => false);
      if (arrived) return;
    }
  };

  test('a message crosses both ways, and stays text', async () => {
    const page = await visit({ colorScheme: 'light' });
    await crosses(page, 'north', 'south');
    await crosses(page, 'south', 'north');
    await say(page, 'north', '<b>Good morning</b> from the north');
    await log(page, 'south').getByText('<b>Good morning</b> from the north').waitFor();
    // On a busy machine the page may hear of a message from the far side first.
    const later = log(page, 'south').getByText(/from north, \d+\.\d ms later/u);
    while ((await later.count()) === 0) await crosses(page, 'north', 'south');
    await say(page, 'south', 'And to you!');
    await log(page, 'north').getByText('And to you!').waitFor();
    await page.screenshot({ path: `${out}cluster-light.png` });
    await assertReadable(page);
    await assertLogsAreAroundLists(page);
    await page.close();
  });

  test('Redis is killed and started again: each side goes on, and the loss is reported', async () => {
    const page = await visit({ colorScheme: 'dark' });
    await crosses(page, 'north', 'south');
    await page.getByRole('button', { name: 'Kill it' }).click();
    for (const name of ['north', 'south']) {
      await bus(page, name, 'lost');
      await log(page, name).getByText(/^the bus is lost: /u).first().waitFor();
    }
    await say(page, 'north', 'Is anybody there?');
    await say(page, 'north', 'I am alone.');
    assert.equal(await log(page, 'south').getByText('I am alone.').count(), 0);
    await page.screenshot({ path: `${out}cluster-dark-lost.png` });
    await assertReadable(page);
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.getByRole('button', { name: 'Start it again' }).click();
    for (const name of ['north', 'south']) await bus(page, name, 'ready');
    await log(page, 'north').getByText('2 messages of ours did not leave').waitFor();
    await say(page, 'north', 'There you are.');
    await log(page, 'south').getByText('There you are.').waitFor();
    await log(page, 'south').getByText('2 messages of the other side did not arrive here').waitFor();
    await page.screenshot({ path: `${out}cluster-dark.png` });
    await page.close();
  });

  test('a side without its socket does not claim to know Redis, and sends nothing', async () => {
    const sockets = [];
    let away = false;
    const page = await visit({
      prepare: (page) => page.routeWebSocket(/./u, (socket) => {
        if (away) return void socket.close();
        socket.connectToServer();
        sockets.push(socket);
      }),
    });
    const state = (name) => side(page, name).getByRole('status').filter({ hasText: /^bus /u });
    const send = (name) => side(page, name).getByRole('button', { name: 'Send' });
    const isGrey = (locator) => locator.evaluate((element) => getComputedStyle(element).filter === 'grayscale(1)');
    const hub = page.locator('.hub');
    for (const name of ['north', 'south']) {
      assert.equal(await isGrey(state(name)), false);
      assert.equal(await send(name).isEnabled(), true);
    }
    await crosses(page, 'north', 'south');

    away = true;
    const [first, second] = sockets;
    await first.close();
    // Which side it was is the page's matter: the first that says so.
    await page.getByRole('status').filter({ hasText: 'not connected' }).waitFor();
    const lost = (await side(page, 'north').getByText('not connected').count()) === 1 ? 'north' : 'south';
    const other = lost === 'north' ? 'south' : 'north';
    await bus(page, lost, 'unknown');
    assert.equal(await isGrey(state(lost)), true);
    assert.equal(await send(lost).isDisabled(), true);
    assert.equal(await isGrey(state(other)), false);
    assert.equal(await send(other).isEnabled(), true);
    assert.equal(await isGrey(hub), false);

    await second.close();
    await bus(page, other, 'unknown');
    assert.equal(await send(other).isDisabled(), true);
    assert.equal(await isGrey(hub), true);
    assert.equal(await page.getByRole('button', { name: 'Kill it' }).isDisabled(), true);

    away = false;
    for (const name of ['north', 'south']) {
      await bus(page, name, 'ready');
      assert.equal(await isGrey(state(name)), false);
      assert.equal(await send(name).isEnabled(), true);
    }
    assert.equal(await isGrey(hub), false);
    await crosses(page, 'south', 'north');
    await page.close();
  });

  test('it fits a telephone', async () => {
    const page = await visit({ viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 });
    await crosses(page, 'south', 'north');
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, 'nothing sticks out sideways');
    await page.screenshot({ path: `${out}cluster-mobile.png`, fullPage: true });
    await page.close();
  });

  test('the page has reported no error', () => assert.deepEqual(problems, []));
});
