// example/chat in a real browser: what a visitor sees and does, through the built addon.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { after, afterEach, before, describe, test } from 'node:test';

import { findRedis } from '../../example/redis.mjs';
import { network } from '../client/network.mjs';
import { visitor } from '../e2e/chat-visitor.mjs';
import { startExample } from '../e2e/example.mjs';
import { assertLogsAreAroundLists, assertReadable } from './contrast.mjs';
import { launch, skip } from './chromium.mjs';

const out = fileURLToPath(new URL('../.out/', import.meta.url));
const DEADLINE = 15_000;

const startChat = (env) => startExample('example/chat/server.mjs', env);

describe('example/chat in a browser', { skip, timeout: 180_000 }, () => {
  let browser;
  let chat;
  const problems = [];

  before(async () => {
    mkdirSync(out, { recursive: true });
    chat = await startChat();
    browser = await launch();
  });

  after(async () => {
    await browser?.close();
    await chat?.stop();
  });

  afterEach(() => Promise.all(browser.contexts().map((context) => context.close())));

  /** A visitor of their own: own storage, own page, all errors of the page collected. */
  async function visit(name, { room, url = chat.url, ...options } = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: 'light', reducedMotion: 'reduce', ...options });
    context.setDefaultTimeout(DEADLINE);
    await context.addInitScript((stored) => {
      if (!localStorage.getItem('chat')) localStorage.setItem('chat', stored);
    }, JSON.stringify({ name }));
    const page = await context.newPage();
    page.on('pageerror', (error) => problems.push(`${name}: ${error.message}`));
    page.on('console', (message) => {
      if (message.type() === 'error' && !/ERR_CONNECTION_REFUSED|WebSocket connection to/u.test(message.text())) problems.push(`${name}: ${message.text()}`);
    });
    await page.goto(`${url}/${room ? `#/${room}` : ''}`);
    await connected(page);
    // The list of who is here comes with the room: now we are in it.
    await page.getByLabel('Who is here').getByText('you', { exact: true }).waitFor({ state: 'attached' }).catch(async (error) => {
      throw new Error(`${error.message}\nThe page:\n${await page.locator('body').innerText()}\nThe server:\n${chat.output()}`);
    });
    return page;
  }

  const connected = (page, timeout = DEADLINE) => page.getByRole('status').filter({ hasText: 'Connected' }).waitFor({ state: 'attached', timeout });
  const log = (page) => page.getByRole('log');
  const people = (page) => page.getByLabel('Who is here').getByRole('listitem');

  async function say(page, text) {
    await page.getByLabel('Message', { exact: true }).fill(text);
    await page.keyboard.press('Enter');
  }

  /** Waits until `read` gives `expected`; the last difference is the failure. */
  async function eventually(read, expected) {
    const deadline = Date.now() + DEADLINE;
    for (;;) {
      const value = await read();
      try {
        assert.deepEqual(value, expected);
        return;
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  }

  /** What people have said, as the page shows it. */
  const words = (page) => log(page).locator('.words').allTextContents();

  const names = (page) => async () => (await people(page).locator('.label').allTextContents()).sort();

  test('two people see each other, talk, and see who types', async () => {
    const ada = await visit('Ada', { room: 'talk' });
    const grace = await visit('Grace', { room: 'talk' });
    await eventually(names(ada), ['Ada', 'Grace']);
    await eventually(names(grace), ['Ada', 'Grace']);
    await log(ada).getByText('Grace joined').waitFor();

    await ada.getByLabel('Message', { exact: true }).pressSequentially('Hello');
    await grace.getByText('Ada is typing').waitFor();
    assert.equal(await ada.getByText('is typing').count(), 0, 'nobody is told that they type themselves');
    await ada.keyboard.press('Enter');
    await log(grace).getByText('Hello', { exact: true }).waitFor();
    await grace.getByText('Ada is typing').waitFor({ state: 'detached' });

    await say(grace, 'Hello back\nin two lines');
    await log(ada).getByText('Hello back').waitFor();
    assert.equal(await log(ada).locator('.pending').count(), 0, 'own texts are confirmed');

    await grace.context().close();
    await log(ada).getByText('Grace left').waitFor();
    await eventually(names(ada), ['Ada']);
  });

  test('workers are several, and everybody still sees everybody', async () => {
    const pages = [];
    for (const name of ['Ann', 'Ben', 'Cid', 'Dot']) pages.push(await visit(name, { room: 'crowd' }));
    for (const page of pages) await eventually(names(page), ['Ann', 'Ben', 'Cid', 'Dot']);
    for (const [index, page] of pages.entries()) await say(page, `greeting ${index}`);
    for (const page of pages) {
      for (const index of pages.keys()) await log(page).getByText(`greeting ${index}`).waitFor();
    }
  });

  test('a name can be changed, and nobody gets one that is taken', async () => {
    const linus = await visit('Linus', { room: 'naming' });
    const margaret = await visit('Margaret', { room: 'naming' });
    await eventually(names(linus), ['Linus', 'Margaret']);

    await margaret.getByRole('button', { name: 'Change your name' }).click();
    const dialog = margaret.getByRole('dialog');
    await dialog.getByLabel('Your name').fill('LINUS');
    await margaret.keyboard.press('Enter');
    await dialog.getByRole('alert').filter({ hasText: 'called LINUS already' }).waitFor();
    await dialog.getByLabel('Your name').fill('Peggy');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'hidden' });
    await eventually(names(linus), ['Linus', 'Peggy']);
    await log(linus).getByText('Margaret is now Peggy').waitFor();

    // The name that was given up is free again, and a newcomer who wants a taken one gets the next.
    const newcomer = await visit('Margaret', { room: 'naming' });
    const second = await visit('linus', { room: 'naming' });
    await eventually(names(linus), ['Linus', 'Margaret', 'Peggy', 'linus 2']);

    // The name is kept for the next visit.
    await margaret.reload();
    await connected(margaret);
    await eventually(names(margaret), ['Linus', 'Margaret', 'Peggy', 'linus 2']);
  });

  test('rooms are made, found, switched by keyboard, counted and left', async () => {
    const alan = await visit('Alan');
    const barbara = await visit('Barbara');
    await alan.keyboard.press('Control+k');
    await alan.getByRole('dialog').getByLabel('Room').fill('Enigma Machines');
    await alan.keyboard.press('Enter');
    await alan.getByRole('heading', { name: '#enigma-machines' }).waitFor();
    assert.match(alan.url(), /#\/enigma-machines$/u, 'the address leads to the room');

    // Barbara is in the lobby only, and sees nothing of what is said elsewhere.
    await say(alan, 'anybody here?');
    await log(alan).getByText('anybody here?').waitFor();
    await barbara.getByRole('button', { name: 'Join or create a room' }).click();
    await barbara.getByRole('dialog').getByRole('button', { name: 'enigma-machines 1 person' }).click();
    await log(barbara).getByText('anybody here?').waitFor();
    await eventually(names(alan), ['Alan', 'Barbara']);

    // Both are in two rooms. What is said in the one that is not shown is counted.
    await barbara.keyboard.press('Alt+ArrowUp');
    await barbara.getByRole('heading', { name: '#lobby' }).waitFor();
    assert.equal(await log(barbara).getByText('anybody here?').count(), 0);
    await say(alan, 'one');
    await say(alan, 'two');
    await barbara.getByRole('link', { name: /enigma-machines\s*2 unread/u }).waitFor();
    assert.match(await barbara.title(), /^\(2\) #lobby/u);
    await barbara.getByRole('link', { name: /enigma-machines/u }).click();
    await log(barbara).getByText('two', { exact: true }).waitFor();
    await eventually(() => barbara.title(), '#enigma-machines · Chat');

    await barbara.getByRole('link', { name: /enigma-machines/u }).hover();
    await barbara.getByRole('button', { name: 'Leave #enigma-machines' }).click();
    await barbara.getByRole('heading', { name: '#lobby' }).waitFor();
    await eventually(names(alan), ['Alan']);
  });

  test('what people write stays text', async () => {
    const mallory = await visit('<img src=x onerror=alert(1)>'.slice(0, 24), { room: 'escape' });
    const victim = await visit('Victim', { room: 'escape' });
    let alerted = false;
    victim.on('dialog', async (dialog) => {
      alerted = true;
      await dialog.dismiss();
    });
    const attack = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script><svg onload=window.hacked=1>';
    await say(mallory, attack);
    await log(victim).getByText(attack).waitFor();
    await say(mallory, 'javascript:window.hacked=1 but https://example.org/a?b=1 is a link');
    const link = log(victim).getByRole('link', { name: 'https://example.org/a?b=1' });
    await link.waitFor();
    assert.equal(await link.getAttribute('rel'), 'noopener noreferrer nofollow');
    assert.equal(await log(victim).getByRole('link').count(), 1, 'no other scheme becomes a link');
    assert.equal(await victim.locator('#entries img, #entries script, #people img, #entries svg').count(), 0);
    assert.equal(await victim.evaluate(() => window.hacked), undefined);
    assert.equal(alerted, false);
  });

  test('the page comes back after the server restarts, and sends what was written meanwhile', async () => {
    const katherine = await visit('Katherine', { room: 'orbit' });
    const dorothy = await visit('Dorothy', { room: 'orbit' });
    await say(katherine, 'before the restart');
    await log(dorothy).getByText('before the restart').waitFor();

    const { ports } = chat;
    assert.equal(await chat.stop(), 0, 'SIGTERM ends the server by itself, with exit code 0');
    for (const page of [katherine, dorothy]) await page.getByRole('status').filter({ hasText: 'Offline' }).waitFor();
    await say(katherine, 'written while offline');
    await log(katherine).getByText('Sending…').waitFor();
    await katherine.screenshot({ path: `${out}chat-offline.png` });

    chat = await startChat(ports);
    // They try by themselves, and wait up to 15 s between two attempts when the server takes long
    // to come back.
    await connected(katherine, 2 * DEADLINE);
    await connected(dorothy, 2 * DEADLINE);
    await eventually(names(dorothy), ['Dorothy', 'Katherine']);
    await log(dorothy).getByText('written while offline').waitFor();
    await log(katherine).getByText('Sending…').waitFor({ state: 'detached' });
    assert.equal(await log(dorothy).getByText('before the restart').count(), 1, 'what was said stays on the page, once');
  });

  test('a lost network: what was said meanwhile comes, once, and nobody is there twice', async (t) => {
    const net = await network(t, () => own.ports.PORT);
    const own = await startChat({ PUBLIC_WS_URL: net.url });
    t.after(() => own.stop());
    const anne = visitor(own.url, 'Anne');
    t.after(() => anne.client.close());
    anne.enter('ghosts');
    await anne.isIn('ghosts');
    const mary = await visit('Mary', { room: 'ghosts', url: own.url });
    await eventually(names(mary), ['Anne', 'Mary']);
    await anne.say('ghosts', 'before');
    await log(mary).getByText('before', { exact: true }).waitFor();

    // The server does not notice: Mary's old connection is open for it, and gets no answer.
    net.freeze();
    await mary.context().setOffline(true);
    await anne.say('ghosts', 'meanwhile, one');
    await anne.say('ghosts', 'meanwhile, two');
    await say(mary, 'written meanwhile');
    await mary.context().setOffline(false);
    net.cut();
    await connected(mary);
    await log(mary).getByText('meanwhile, two').waitFor();
    await log(mary).locator('.pending').waitFor({ state: 'detached' });
    assert.deepEqual((await words(mary)).toSorted(), ['before', 'meanwhile, one', 'meanwhile, two', 'written meanwhile']);
    await eventually(names(mary), ['Anne', 'Mary']);
    assert.deepEqual((await anne.client.request({ type: 'people', room: 'ghosts' })).map(({ name }) => name).toSorted(), ['Anne', 'Mary']);
    assert.equal(await log(mary).getByText('may be missing').count(), 0);
  });

  test('the server is killed: with Redis the page misses nothing', async (t) => {
    const redis = await findRedis('node --test');
    t.after(() => redis.close());
    const env = { REDIS_URL: redis.url };
    let own = await startChat(env);
    t.after(() => own.stop());
    const page = await visit('Hedy', { room: 'phoenix', url: own.url });
    const other = await visit('Emmy', { room: 'phoenix', url: own.url });
    await say(page, 'before');
    await log(other).getByText('before', { exact: true }).waitFor();
    await own.kill();
    await say(other, 'written meanwhile');
    own = await startChat({ ...env, ...own.ports });
    for (const one of [page, other]) await connected(one, 2 * DEADLINE);
    await say(page, 'after');
    for (const one of [page, other]) {
      await log(one).getByText('after', { exact: true }).waitFor();
      await log(one).getByText('written meanwhile').waitFor();
      assert.deepEqual((await words(one)).toSorted(), ['after', 'before', 'written meanwhile']);
      assert.equal(await log(one).getByText('may be missing').count(), 0);
      await eventually(names(one), ['Emmy', 'Hedy']);
    }
  });

  test('the server is killed: without Redis the page says that messages may be missing', async (t) => {
    let own = await startChat();
    t.after(() => own.stop());
    const page = await visit('Hedy', { room: 'ashes', url: own.url });
    await say(page, 'before');
    await log(page).locator('.pending').waitFor({ state: 'detached' });
    await own.kill();
    own = await startChat(own.ports);
    await connected(page, 2 * DEADLINE);
    await log(page).getByText('Some messages may be missing here').waitFor();
    await say(page, 'after');
    await log(page).locator('.pending').waitFor({ state: 'detached' });
    assert.deepEqual(await words(page), ['before', 'after']);
    const notes = log(page).getByRole('listitem').filter({ hasText: /before|may be missing|after/ });
    assert.equal((await notes.allInnerTexts()).findIndex((text) => text.includes('may be missing')), 1, 'the gap is where it belongs');
  });

  test('what is not of the protocol ends that connection, and hurts nobody', async () => {
    const page = await visit('Tester', { room: 'nonsense' });
    const codes = await page.evaluate(async (port) => {
      const ended = (message) => new Promise((resolve) => {
        const socket = new WebSocket(`ws://${location.hostname}:${port}`, 'wsbroker.v1');
        socket.addEventListener('open', () => socket.send(message));
        socket.addEventListener('close', ({ code }) => resolve(code));
      });
      const all = [];
      for (const message of ['not json', '{}', '{"type":"rooms"}', '{"type":"subscribe","channels":[]}', new Uint8Array([1, 2, 3]), 'x'.repeat(20_000)]) all.push(await ended(message));
      return all;
    }, chat.ports.WS_PORT);
    assert.deepEqual(codes, [4400, 4400, 4400, 4401, 4400, 1009]);
    await say(page, 'still here');
    await log(page).getByText('still here').waitFor();
    await log(page).locator('.pending').waitFor({ state: 'detached' });
  });

  test('a visitor who floods is disconnected', async () => {
    const page = await visit('Patient', { room: 'flood' });
    const code = await page.evaluate(async (port) => {
      const socket = new WebSocket(`ws://${location.hostname}:${port}`, 'wsbroker.v1');
      await new Promise((resolve) => socket.addEventListener('open', resolve, { once: true }));
      const closed = new Promise((resolve) => socket.addEventListener('close', ({ code: how }) => resolve(how)));
      socket.send(JSON.stringify({ type: 'hello', client: '0'.repeat(32) }));
      for (let id = 0; id < 2_000; id += 1) socket.send(JSON.stringify({ type: 'request', id, data: { type: 'rooms' } }));
      return closed;
    }, chat.ports.WS_PORT);
    assert.equal(code, 1008);
  });

  test('a page of another site gets no socket', async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.route('http://evil.example/', (route) => route.fulfill({ contentType: 'text/html', body: '<p>evil</p>' }));
    await page.goto('http://evil.example/');
    const outcome = await page.evaluate((port) => new Promise((resolve) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}`);
      socket.addEventListener('open', () => resolve('open'));
      socket.addEventListener('close', () => resolve('refused'));
    }), chat.ports.WS_PORT);
    assert.equal(outcome, 'refused');
  });

  for (const [name, options] of [
    ['desktop-light', { viewport: { width: 1280, height: 800 }, colorScheme: 'light' }],
    ['desktop-dark', { viewport: { width: 1280, height: 800 }, colorScheme: 'dark' }],
    ['mobile-light', { viewport: { width: 390, height: 844 }, colorScheme: 'light', isMobile: true, hasTouch: true, deviceScaleFactor: 2 }],
    ['mobile-dark', { viewport: { width: 390, height: 844 }, colorScheme: 'dark', isMobile: true, hasTouch: true, deviceScaleFactor: 2 }],
  ]) {
    test(`it fits the screen: ${name}`, async () => {
      // A fresh server, so that nobody of the tests before is in the picture.
      await chat.stop();
      chat = await startChat();
      const room = 'garden';
      const others = [await visit('Rosalind Franklin', { room }), await visit('Tim', { room })];
      const page = await visit('Grace Hopper', { room, ...options });
      await eventually(names(others[0]), ['Grace Hopper', 'Rosalind Franklin', 'Tim']);
      const lines = [
        [others[0], 'Good morning! Did anybody water the tomatoes?'],
        [others[0], 'They looked rather thirsty yesterday evening.'],
        [page, 'I did, at seven.'],
        [others[1], 'Thank you! The plan for the week is here: https://example.org/garden/plan'],
        [page, 'Lovely. I can take Thursday and Friday, and if nobody minds I would like to try the corner behind the shed for beans. It gets the sun from ten o’clock on.'],
        [others[0], 'Beans it is!'],
      ];
      for (const [author, text] of lines) {
        await say(author, text);
        await log(page).getByText(text.slice(0, 40)).waitFor();
      }
      await say(others[1], 'see you in the lobby');
      await log(page).getByText('see you in the lobby').waitFor();
      await others[1].getByRole('link', { name: /lobby/u }).click();
      await say(others[1], 'Anybody up for lunch?');
      await page.locator('.badge').waitFor({ state: 'attached' });
      await others[0].getByLabel('Message', { exact: true }).pressSequentially('An');
      await page.getByText('Rosalind Franklin is typing').waitFor();
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, 'nothing sticks out sideways');
      await page.screenshot({ path: `${out}chat-${name}.png` });
      await assertReadable(page);
      await assertLogsAreAroundLists(page);
      await page.emulateMedia({ colorScheme: options.colorScheme });
      if (options.isMobile) {
        await page.getByRole('button', { name: /^Rooms/u }).tap();
        await page.getByRole('link', { name: /lobby/u }).waitFor();
        await page.screenshot({ path: `${out}chat-${name}-rooms.png` });
        await page.getByRole('link', { name: /lobby/u }).tap();
        await page.getByRole('heading', { name: '#lobby' }).waitFor();
        await log(page).getByText('Anybody up for lunch?').waitFor();
      } else {
        await page.keyboard.press('Control+k');
        await page.getByRole('dialog').getByRole('button', { name: /lobby \d/u }).waitFor();
        await page.screenshot({ path: `${out}chat-${name}-picker.png` });
      }
    });
  }

  test('the pages have reported no error', () => {
    assert.deepEqual(problems, []);
    assert.doesNotMatch(chat.output(), /Error/u);
  });
});
