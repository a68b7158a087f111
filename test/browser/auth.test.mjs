// example/auth in a real browser: sign in, talk, see the token end.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';

import { startExample } from '../e2e/example.mjs';
import { launch, skip } from './chromium.mjs';
import { assertLogsAreAroundLists, assertReadable } from './contrast.mjs';

const out = fileURLToPath(new URL('../.out/', import.meta.url));

describe('example/auth in a browser', { skip, timeout: 120_000 }, () => {
  let browser;
  let server;

  before(async () => {
    mkdirSync(out, { recursive: true });
    browser = await launch();
    server = await startExample('example/auth/server.mjs', { TOKEN_SECONDS: '8' });
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  async function signIn(user, options) {
    const page = await browser.newPage({ viewport: { width: 900, height: 760 }, ...options });
    page.setDefaultTimeout(15_000);
    /** The page's WebSockets, the last one last. */
    page.sockets = [];
    await page.routeWebSocket(/./u, (socket) => {
      socket.connectToServer();
      page.sockets.push(socket);
    });
    await page.goto(server.url);
    await page.getByLabel('Name').fill(user);
    await page.getByLabel('Password').fill(new RegExp(`${user} +password (\\S+)`, 'u').exec(server.output())[1]);
    if (options) await page.screenshot({ path: `${out}auth-${options.colorScheme}-login.png` });
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('status').filter({ hasText: 'connected' }).waitFor();
    return page;
  }

  test('a wrong password is reported', async () => {
    const page = await browser.newPage();
    await page.goto(server.url);
    await page.getByLabel('Password').fill('wrong');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').filter({ hasText: 'Wrong name or password' }).waitFor();
  });

  test('the policy lets the icon of the page through', async () => {
    const page = await browser.newPage();
    await page.goto(server.url);
    const violations = await page.evaluate(async () => {
      const blocked = [];
      document.addEventListener('securitypolicyviolation', ({ effectiveDirective }) => blocked.push(effectiveDirective));
      const image = new Image();
      const over = new Promise((resolve) => (image.onload = image.onerror = resolve));
      image.src = document.querySelector('link[rel="icon"]').href;
      await over;
      await new Promise((resolve) => requestAnimationFrame(resolve));
      return blocked;
    });
    assert.deepEqual(violations, []);
  });

  test('all windows of a user get the message; the token is renewed, or its end is reported', async () => {
    const alice = await signIn('alice', { colorScheme: 'light' });
    const laptop = await signIn('alice', { colorScheme: 'dark', viewport: { width: 390, height: 760 } });
    const bob = await signIn('bob');
    await laptop.getByLabel('Renew it in time').uncheck();
    const write = async (page, text) => {
      await page.getByLabel('Message', { exact: true }).fill(text);
      await page.keyboard.press('Enter');
    };
    await write(bob, '<b>Lunch</b> at one?');
    for (const page of [alice, laptop]) await page.getByRole('log').getByText('<b>Lunch</b> at one?').waitFor();
    await write(alice, 'Gladly.');
    await bob.getByRole('log').getByText('Gladly.').waitFor();
    await laptop.getByRole('log').getByText('Gladly.').waitFor();
    await alice.screenshot({ path: `${out}auth-light.png` });
    await laptop.screenshot({ path: `${out}auth-dark.png` });

    await laptop.getByRole('alert').filter({ hasText: 'Your token expired' }).waitFor();
    await write(bob, 'See you there.');
    await alice.getByRole('log').getByText('See you there.').waitFor();
    assert.equal(await alice.locator('#inside').isVisible(), true, 'the renewed one goes on');
    await assertReadable(alice);
    await assertLogsAreAroundLists(alice);
    await assertReadable(laptop);
    for (const page of [alice, laptop, bob]) await page.close();
  });

  test('a page that loses its connection comes back, still signed in, with what it shows and what is being written', async () => {
    const alice = await signIn('alice');
    const bob = await signIn('bob');
    const write = (page, text) => page.getByLabel('Message', { exact: true }).fill(text);
    await write(bob, 'Before.');
    await bob.keyboard.press('Enter');
    await alice.getByRole('log').getByText('Before.').waitFor();

    await write(alice, 'Half a');
    await alice.evaluate(() => {
      globalThis.seen = [];
      new MutationObserver(() => seen.push([document.getElementById('state').textContent, document.getElementById('send').disabled])).observe(document.getElementById('state'), { childList: true });
    });
    await alice.sockets.at(-1).close({ code: 1012 });
    await alice.waitForFunction(() => seen.at(-1)?.[0] === 'connected');
    const states = await alice.evaluate(() => seen);
    assert.deepEqual(states[0], ['connection lost, trying again…', true], 'nothing can be sent meanwhile');
    assert.deepEqual(states.at(-1), ['connected', false]);
    assert.equal(alice.sockets.length, 2, 'one connection more');
    assert.equal(await alice.getByLabel('Message', { exact: true }).inputValue(), 'Half a');
    await alice.getByRole('log').getByText('Before.').waitFor();

    await write(bob, 'After.');
    await bob.keyboard.press('Enter');
    await alice.getByRole('log').getByText('After.').waitFor();
    await write(alice, 'I am back.');
    await alice.keyboard.press('Enter');
    await bob.getByRole('log').getByText('I am back.').waitFor();
    for (const page of [alice, bob]) await page.close();
  });

  test('a page says so when the server is away, and asks for the password when its session is not known any more', async () => {
    const alice = await signIn('alice');
    const { ports } = server;
    await server.stop();
    await alice.getByRole('status').filter({ hasText: 'connection lost' }).waitFor();
    // A new server has new keys.
    server = await startExample('example/auth/server.mjs', { TOKEN_SECONDS: '8', ...ports });
    await alice.getByRole('alert').filter({ hasText: /Your (session has ended|token expired)\. Sign in again\./u }).waitFor();
    await alice.getByLabel('Password').fill(/alice +password (\S+)/u.exec(server.output())[1]);
    await alice.keyboard.press('Enter');
    await alice.getByRole('status').filter({ hasText: 'connected' }).waitFor();
    await alice.close();
  });
});
