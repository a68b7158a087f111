// example/auth in a real browser: sign in, talk, see the token end.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';

import { startExample } from '../e2e/example.mjs';
import { launch, skip } from './chromium.mjs';

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
    await page.goto(server.url);
    await page.getByLabel('Name').fill(user);
    await page.getByLabel('Password').fill(new RegExp(`${user} +password (\\S+)`, 'u').exec(server.output())[1]);
    if (options) await page.screenshot({ path: `${out}auth-${options.colorScheme}-login.png` });
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('status').filter({ hasText: 'connected' }).waitFor();
    return page;
  }

  test('a wrong password is told', async () => {
    const page = await browser.newPage();
    await page.goto(server.url);
    await page.getByLabel('Password').fill('wrong');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').filter({ hasText: 'Wrong name or password' }).waitFor();
  });

  test('all windows of a user get the message; the token is renewed, or its end is told', async () => {
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
  });
});
