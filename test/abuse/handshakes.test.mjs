// Handshakes that take their time, and crowds of them.
import assert from 'node:assert/strict';
import net from 'node:net';

import { until } from '../e2e/harness.mjs';
import { frame, request, TEXT } from '../e2e/raw.mjs';
import { many, MiB, site, sized } from './kit.mjs';

const HANDSHAKE = 400;
const CROWD = sized(200, 2000);

/** All of these connections are cut by the deadline, which runs from accept and is not put off by what comes. */
async function cut(place, crowd, say) {
  const began = Date.now();
  const all = await Promise.all(Array.from({ length: crowd }, () => place.tcp()));
  const talk = Promise.all(all.map((one, n) => say(one, n)));
  for (const one of all) {
    await one.end();
    assert.ok(one.status === undefined || one.status === 408, one.head);
  }
  await talk;
  const took = Date.now() - began;
  assert.ok(took >= HANDSHAKE - 50 && took < HANDSHAKE + 5000, `cut after ${took} ms`);
}

/** Writes pieces with pauses between them, for as long as anybody listens. */
async function drip(one, pieces, pause) {
  for (const piece of pieces) {
    if (one.ended) return;
    one.write(piece);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

const headers = function* () {
  yield 'GET / HTTP/1.1\r\nHost: localhost\r\n';
  for (let n = 0; ; n++) yield `X-${n}: y\r\n`;
};
const bytes = function* () {
  for (const byte of request().slice(0, -1)) yield byte;
  for (;;) yield 'x';
};

site('slow handshakes', { options: { handshakeTimeout: HANDSHAKE } }, (attack) => {
  const none = { opens: 0, closes: {} };
  const late = { rejected: { handshakeTimeout: CROWD }, closes: {} };

  attack('a client that connects and says nothing is cut by handshakeTimeout', (place) => cut(place, CROWD, () => {}), { expect: none, counts: late });

  attack('a client that sends half a request and then nothing is cut by handshakeTimeout', (place) => cut(place, CROWD, (one) => one.write(request().slice(0, 60))), { expect: none, counts: late });

  attack('a client that sends a header now and then is cut by handshakeTimeout', (place) => cut(place, CROWD, (one) => drip(one, headers(), 40)), { expect: none, counts: late });

  attack('a client that sends a byte now and then is cut by handshakeTimeout', (place) => cut(place, CROWD, (one) => drip(one, bytes(), 20)), { expect: none, counts: late });

  attack(
    'a client that half-closes before a request is let go at once',
    (place) =>
      many(CROWD, 20, async () => {
        const one = await place.tcp();
        one.socket.end(request().slice(0, 30));
        await one.end();
        assert.equal(one.status, undefined);
      }),
    { expect: none },
  );

  attack(
    'a client that takes nothing of its refusal is cut all the same',
    (place) =>
      many(CROWD, CROWD, async () => {
        const one = await place.tcp({ deaf: true });
        one.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
        await until(async () => (one.socket.write('x'), one.ended), 'the connection to be cut');
      }),
    { expect: none },
  );
});

site('handshakes that wait for a verdict', { options: { openTimeout: 500, maxPendingUpgrades: 50 } }, (attack) => {
  attack(
    'one address takes every pending slot: the next gets 503, and the slots come back',
    async (place) => {
      const holders = await Promise.all(Array.from({ length: 50 }, () => place.tcp()));
      // Accepted in turn, so the last of them has its place when it is there.
      await until(async () => (await place.say(request())).status === 503, 'the slots to be taken');
      for (const one of holders) one.destroy();
      await until(async () => (await place.say(request())).status === 101, 'a slot to come back');
    },
  );

  attack(
    'a crowd that waits for verdicts that do not come gets 503, each once',
    async (place) => {
      const statuses = {};
      await many(sized(200, 2000), 100, async () => {
        const one = await place.say(request('/wait'));
        statuses[one.status] = (statuses[one.status] ?? 0) + 1;
        await one.end();
      });
      assert.deepEqual(Object.keys(statuses), ['503']);
    },
  );

  attack(
    'a crowd that leaves while it waits for its verdicts leaves nothing behind',
    (place) =>
      many(sized(200, 2000), 20, async () => {
        const one = await place.tcp();
        one.write(request('/wait'));
        await new Promise((resolve) => setTimeout(resolve, 2));
        one.reset();
      }),
  );

  attack(
    'frames that come while the verdict is awaited are kept to a bound and are there afterwards',
    async (place) => {
      const one = await place.tcp();
      one.write(request('/wait-deaf'));
      await until(() => place.inWorker(() => globalThis.abuse.waiting.size === 1), 'the question');
      const before = await place.told();
      const flood = frame(TEXT, 'x'.repeat(60_000));
      for (let n = 0; n < 500; n++) one.write(flood);
      // Of 30 MB the kernel holds what it holds. The rest stays with the client.
      await until(() => one.socket.writableLength > 0, 'the client to be held up');
      await place.inWorker(() => globalThis.abuse.release());
      assert.equal(await one.answer(), 101);
      await until(async () => (await place.told()).texts - before.texts >= 500, 'every message');
      one.destroy();
    },
    { expect: { opens: 1, texts: 500 }, most: 20 * MiB },
  );
});

/** A connection that is cut as soon as it is open, at little cost to this side. */
const fleeting = (port) =>
  new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: '127.0.0.1' });
    socket.write(request());
    socket.once('data', (head) => (assert.match(head.toString('latin1'), /^HTTP\/1.1 101 /), socket.destroy()));
    socket.on('error', reject);
    socket.on('close', resolve);
  });

// Those that stay open say nothing while the others come.
site('crowds', { options: { idleTimeout: sized(20_000, 300_000) } }, (attack) => {
  const CONNECTS = 10_000;

  attack(
    `${CONNECTS} connections come and are cut within a few seconds`,
    async (place) => {
      const began = Date.now();
      await many(CONNECTS, 100, () => fleeting(place.server.port));
      const took = Date.now() - began;
      assert.ok(took < 30_000, `${took} ms`);
    },
    { expect: { opens: CONNECTS, closes: { 1006: CONNECTS } }, counts: { rejected: {}, closes: { lost: CONNECTS } }, tolerance: 6 * MiB },
  );

  attack(
    `${sized(1000, 10_000)} connections that stay open all have their echo`,
    async (place) => {
      const all = [];
      await many(sized(1000, 10_000), 200, async () => void all.push(await place.open()));
      await many(all.length, 200, async (n) => {
        all[n].write(frame(TEXT, `${n}`));
        assert.equal((await all[n].frame(TEXT)).text, `${n}`);
      });
      for (const one of all) one.destroy();
    },
    { tolerance: 6 * MiB },
  );

  attack(
    'thousands of connects without a word, all reset at once',
    async (place) => {
      const all = [];
      await many(sized(2000, 10_000), 200, async () => void all.push(await place.tcp()));
      for (const one of all) one.reset();
    },
    { expect: { opens: 0 }, counts: { rejected: { gone: sized(2000, 10_000) } } },
  );
});
