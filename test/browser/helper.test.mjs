// example/helper in a real browser: sign in, join, talk, write to somebody with two windows,
// announce, come back.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { startExample } from '../e2e/example.mjs';
import { Client } from '../e2e/secure-client.mjs';
import { launch, skip as noBrowser } from './chromium.mjs';
import { assertLogsAreAroundLists, assertReadable } from './contrast.mjs';

const out = fileURLToPath(new URL('../.out/', import.meta.url));
const DEADLINE = 20_000;
const SCRIPT = 'example/helper/server.mjs';
const noRedis = spawnSync('redis-server', ['--version']).status === 0 ? false : 'no redis-server; enable with: apt-get install redis-server';

describe('example/helper in a browser', { skip: noBrowser || noRedis, timeout: 240_000 }, () => {
  let browser;
  let server;
  const pages = [];
  const problems = [];

  before(async () => {
    mkdirSync(out, { recursive: true });
    browser = await launch();
    server = await startExample(SCRIPT, { HEARTBEAT_SECONDS: '2' });
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  async function visit(name, options) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 760 }, ...options });
    context.setDefaultTimeout(DEADLINE);
    const page = await context.newPage();
    /** What crossed, of the present connection. */
    page.wire = { sent: [], received: [] };
    page.on('websocket', (socket) => {
      const wire = (page.wire = { sent: [], received: [] });
      socket.on('framesent', ({ payload }) => wire.sent.push(payload));
      socket.on('framereceived', ({ payload }) => wire.received.push(payload));
    });
    page.on('pageerror', (error) => problems.push(`${name}: ${error.message}`));
    page.on('console', (message) => {
      if (message.type() === 'error' && !/ERR_CONNECTION_REFUSED|WebSocket connection to/u.test(message.text())) problems.push(`${name}: ${message.text()}`);
    });
    await page.goto(server.url);
    await page.getByLabel('Your name').fill(name);
    await page.keyboard.press('Enter');
    await connected(page);
    pages.push(page);
    return page;
  }

  const connected = (page) => page.getByRole('status').filter({ hasText: 'Connected, encrypted' }).waitFor({ timeout: 2 * DEADLINE });
  const log = (page) => page.getByRole('log');
  const people = (page, names) => page.getByLabel('Who is here').filter({ hasText: new RegExp(`^${names}$`, 'u') }).waitFor();
  const open = (page, conversation) => page.getByRole('navigation').getByRole('button', { name: new RegExp(`^${conversation}`, 'u') }).click();
  async function say(page, text) {
    await page.getByLabel('Message', { exact: true }).fill(text);
    await page.keyboard.press('Enter');
  }

  let ada;
  let grace;
  let laptop;

  test('two people see each other and talk in a room', async () => {
    ada = await visit('Ada', { colorScheme: 'light' });
    grace = await visit('Grace', { colorScheme: 'dark' });
    await people(ada, 'Ada \\(you\\), Grace');
    await people(grace, 'Ada, Grace \\(you\\)');
    await say(ada, '<b>Good</b> morning');
    for (const page of [ada, grace]) await log(page).getByText('<b>Good</b> morning').waitFor();
    await say(grace, 'Morning! Coffee?');
    await log(ada).getByText('Morning! Coffee?').waitFor();
  });

  test('a room for members lets them in, and tells others that it does not', async () => {
    for (const page of [ada, grace]) await open(page, '#office');
    await people(grace, 'Ada, Grace \\(you\\)');
    await say(grace, 'the budget is secret');
    await log(ada).getByText('the budget is secret').waitFor();
    const eve = await visit('Eve');
    await open(eve, '#office');
    await log(eve).getByText('You may not enter this room.').waitFor();
    await say(eve, 'let me in');
    await log(eve).getByText('goes to a room that you are in').waitFor();
    assert.equal(await log(ada).getByText('let me in').count(), 0);

    // What is said elsewhere is counted, and a room can be left.
    await open(eve, '#lobby');
    await say(eve, 'Anybody in the lobby?');
    await ada.getByRole('button', { name: /#lobby\s*1 unread/u }).waitFor();
    await ada.getByRole('button', { name: 'Leave #office' }).click();
    await ada.getByRole('heading', { name: '#lobby' }).waitFor();
    await people(grace, 'Grace \\(you\\)');
    await eve.context().close();
    await people(ada, 'Ada \\(you\\), Grace');
  });

  test('a direct message is in both windows of a user, and in no other', async () => {
    laptop = await visit('Ada', { viewport: { width: 390, height: 760 }, colorScheme: 'dark' });
    const other = await visit('Hedy');
    await grace.getByLabel('Write to somebody').fill('Ada');
    await grace.keyboard.press('Enter');
    await grace.getByRole('heading', { name: '@Ada' }).waitFor();
    await say(grace, 'Lunch at one?');
    await log(grace).getByText('Lunch at one?').waitFor();
    for (const page of [ada, laptop]) {
      await open(page, '@Grace');
      await log(page).getByText('Lunch at one?').waitFor();
    }
    await say(laptop, 'Gladly.');
    for (const page of [ada, grace, laptop]) await log(page).getByText('Gladly.').waitFor();
    assert.equal(await other.getByRole('navigation').getByRole('button', { name: /^@/u }).count(), 0);
    await say(grace, 'See you there.');
    await log(laptop).getByText('See you there.').waitFor();
    await ada.screenshot({ path: `${out}helper-light.png` });
    await grace.screenshot({ path: `${out}helper-dark.png` });
    await laptop.screenshot({ path: `${out}helper-narrow.png` });
    for (const page of [ada, laptop]) assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, 'nothing sticks out sideways');
    await other.context().close();
  });

  test('an announcement comes from a process without sockets', async () => {
    await ada.getByRole('button', { name: 'Announce' }).first().click();
    await ada.getByRole('dialog').getByLabel('Announcement').fill('The cake is in the kitchen');
    await ada.keyboard.press('Enter');
    for (const page of [ada, grace, laptop]) await page.getByRole('status').filter({ hasText: /The cake is in the kitchen.*Ada.*through process \d+/u }).waitFor();
  });

  test('behind connected nothing is in clear but join and heartbeat, and those only from the page', async () => {
    for (const page of [ada, grace, laptop]) {
      const { sent, received } = page.wire;
      assert.match(received[0], /^\{"event":"connected"/u);
      for (const text of received.slice(1)) assert.match(text, /^\{"event":"encrypted","data":\{"n":\d+,"c":"[\w-]+"\}\}$/u);
      assert.match(sent[0], /^\{"event":"authenticate","data":\{"ticket":"[\w.-]+","publicKey":"[\w-]+"\}\}$/u);
      for (const text of sent.slice(1)) assert.match(text, /^\{"event":("heartbeat"|"join","data":\{"rooms":\["\w+"\]\}|"encrypted","data":\{"n":\d+,"c":"[\w-]+"\})\}$/u);
      for (const secret of ['Good', 'budget', 'Lunch', 'Gladly', 'cake', 'Grace']) assert.equal([...sent.slice(1), ...received.slice(1)].some((text) => text.includes(secret)), false, secret);
      assert.notEqual(await page.locator('#wire li').count(), 0, 'and the page shows it');
    }
  });

  test('what crossed can be read, scrolled by the keyboard too', async () => {
    const wire = grace.getByRole('group', { name: 'On the wire' });
    await grace.getByRole('button', { name: 'Send' }).focus();
    await grace.keyboard.press('Tab');
    assert.equal(await wire.evaluate((element) => element === document.activeElement), true, 'it comes behind the form');
    assert.equal(await wire.evaluate((element) => element.scrollHeight > element.clientHeight), true, 'there is more than fits');
    await grace.keyboard.press('End');
    await grace.waitForFunction(() => document.activeElement.scrollTop > 0);
    for (const page of [ada, grace, laptop]) {
      await assertReadable(page);
      await assertLogsAreAroundLists(page);
    }
  });

  test('the page sends heartbeats: it stays while a client that does not is closed', async () => {
    const silent = await Client.signIn(server, 'Silent');
    assert.deepEqual(await silent.closed, { code: 4002, reason: 'Heartbeat timeout' });
    assert.ok(ada.wire.sent.includes('{"event":"heartbeat"}'));
    await say(ada, 'still in the same connection');
    await log(grace).getByText('still in the same connection').waitFor();
    assert.equal(ada.wire.received[0].includes('connected'), true);
  });

  test('a page that gets something forged begins anew, with new keys', async () => {
    const page = await browser.newPage();
    page.setDefaultTimeout(DEADLINE);
    const tickets = [];
    let tampered = 0;
    await page.routeWebSocket(/\/ws$/u, (socket) => {
      const upstream = socket.connectToServer();
      socket.onMessage((text) => {
        if (text.startsWith('{"event":"authenticate"')) tickets.push(JSON.parse(text).data);
        upstream.send(text);
      });
      upstream.onMessage((text) => {
        // The first encrypted one of the first connection: its last bits are others.
        if (text.startsWith('{"event":"encrypted"') && tampered === 0) {
          tampered += 1;
          const message = JSON.parse(text);
          const c = Buffer.from(message.data.c, 'base64url');
          c[0] ^= 1;
          socket.send(JSON.stringify({ ...message, data: { ...message.data, c: c.toString('base64url') } }));
        } else socket.send(text);
      });
    });
    await page.goto(server.url);
    await page.getByLabel('Your name').fill('Ivy');
    await page.keyboard.press('Enter');
    await people(page, 'Ada, Grace, Ivy \\(you\\)');
    assert.equal(tampered, 1);
    assert.equal(tickets.length, 2, 'one connection more');
    assert.notEqual(tickets[0].publicKey, tickets[1].publicKey);
    await page.close();
  });

  test('the pages come back after the server restarts, into their rooms', async () => {
    for (const page of [ada, grace, laptop]) await open(page, '#lobby');
    const { ports } = server;
    assert.equal(await server.stop(), 0);
    for (const page of [ada, grace, laptop]) await page.getByRole('status').filter({ hasText: 'Offline' }).waitFor();
    await say(ada, 'written while offline');
    assert.equal(await ada.getByLabel('Message', { exact: true }).inputValue(), 'written while offline', 'what was not sent stays in the box');
    const before = JSON.parse(ada.wire.received[0]).data;

    server = await startExample(SCRIPT, { HEARTBEAT_SECONDS: '2', ...ports });
    for (const page of [ada, grace, laptop]) await connected(page);
    await people(grace, 'Ada, Grace \\(you\\)');
    await ada.getByLabel('Message', { exact: true }).press('Enter');
    for (const page of [ada, grace, laptop]) await log(page).getByText('written while offline').waitFor();
    assert.equal(await log(grace).getByText('Morning! Coffee?').count(), 1, 'what was said stays on the page, once');
    const now = JSON.parse(ada.wire.received[0]).data;
    for (const field of ['id', 'serverPublicKey', 'salt']) assert.notEqual(now[field], before[field]);
  });

  test('signing out closes the connection, and the name is free to choose', async () => {
    await laptop.getByRole('button', { name: 'Sign out' }).click();
    await laptop.getByLabel('Your name').fill('Ida');
    await laptop.keyboard.press('Enter');
    await people(ada, 'Ada \\(you\\), Grace, Ida');
  });

  test('the pages have reported no error', () => {
    assert.deepEqual(problems, []);
  });
});
