// Rates and lifetimes: clients that talk too much, and clients that stay too long.
import assert from 'node:assert/strict';

import { until } from '../e2e/harness.mjs';
import { BINARY, CLOSE, closeFrame, frame, PING, PONG, TEXT } from '../e2e/raw.mjs';
import { many, MiB, site, sized } from './kit.mjs';

site('a rate that is held by pausing', { options: { rateLimit: { messages: 200, burst: 50 } }, aside: true }, (attack) => {
  attack(
    'a flood of messages comes through at that rate, and none is lost',
    async (place) => {
      const one = await place.open();
      const began = Date.now();
      one.write(Buffer.concat(Array.from({ length: 300 }, (_, n) => frame(TEXT, `${n}`))));
      await one.frame(TEXT, 299);
      const took = Date.now() - began;
      assert.deepEqual(one.frames.map((each) => each.text), Array.from({ length: 300 }, (_, n) => `${n}`));
      assert.ok(took >= 1150 && took < 5000, `${took} ms`);
    },
    { expect: { opens: 1, texts: 300 } },
  );

  attack(
    'a flood that does not end is held back by TCP',
    async (place) => {
      const one = await place.open({ target: '/deaf' });
      const block = Buffer.concat(Array.from({ length: 100 }, () => frame(BINARY, Buffer.alloc(1000))));
      const before = await place.told();
      let written = 0;
      while (written < 30 * MiB && one.socket.writableLength < 8 * MiB) {
        one.socket.write(block);
        written += block.length;
        await new Promise((resolve) => setImmediate(resolve));
      }
      await until(async () => (await place.told()).binaries - before.binaries > 100, 'some of it');
      assert.ok(one.socket.writableLength > 0, 'the rest waits with the client');
      one.reset();
    },
    { most: 8 * MiB },
  );

  attack(
    'a flood of pings is paused like any other',
    async (place) => {
      const one = await place.open();
      const began = Date.now();
      one.write(Buffer.concat(Array.from({ length: 250 }, () => frame(PING, 'p'))));
      one.write(frame(TEXT, 'fence'));
      await one.frame(TEXT);
      assert.ok(Date.now() - began >= 900, 'pings count as messages');
      assert.equal(one.frames.filter((each) => each.opcode === PONG).length, 250);
    },
    { expect: { opens: 1, texts: 1 } },
  );
});

site('a rate that is held by closing', { options: { rateLimit: { messages: 100, burst: 20, action: 'close' } }, aside: true }, (attack) => {
  const TIMES = sized(10, 200);
  for (const [what, bytes] of [['messages', frame(TEXT, 'x')], ['empty messages', frame(BINARY)], ['pings', frame(PING)], ['pongs', frame(PONG)]]) {
    attack(
      `a flood of ${what} is closed with 1008`,
      (place) =>
        many(TIMES, 5, async () => {
          const one = await place.open({ target: '/deaf' });
          one.write(Buffer.concat(Array.from({ length: 60 }, () => bytes)));
          assert.equal((await one.frame(CLOSE)).code, 1008);
          one.write(closeFrame(1008));
          await one.end();
        }),
      { expect: { opens: TIMES, closes: { 1008: TIMES } }, counts: { closes: { rateLimit: TIMES } } },
    );
  }

  attack(
    'a client that stays within it is not closed',
    async (place) => {
      const one = await place.open();
      one.write(Buffer.concat(Array.from({ length: 15 }, () => frame(TEXT, 'x'))));
      await one.frame(TEXT, 14);
      one.destroy();
    },
    { expect: { opens: 1, texts: 15, closes: { 1006: 1 } } },
  );
});

site('bytes at a rate', { options: { rateLimit: { bytes: 200_000 }, maxPayload: MiB }, aside: true }, (attack) => {
  attack(
    'a flood of large messages comes through at that rate',
    async (place) => {
      const one = await place.open();
      const began = Date.now();
      one.write(Buffer.concat(Array.from({ length: 8 }, () => frame(BINARY, Buffer.alloc(50_000)))));
      await one.frame(BINARY, 7);
      assert.ok(Date.now() - began >= 600, `${Date.now() - began} ms`);
    },
    { expect: { opens: 1, binaries: 8 } },
  );
});

const LIFE = 700;
site('lives that are limited', { options: { maxLifetime: LIFE, closeTimeout: 300 }, aside: true }, (attack) => {
  const whole = async (place, count, live) => {
    const began = Date.now();
    const all = await Promise.all(Array.from({ length: count }, () => place.open({ target: '/deaf' })));
    await Promise.all(all.map((one) => live(one)));
    const took = Date.now() - began;
    assert.ok(took < LIFE + 300 + 2000, `${took} ms`);
  };

  attack(
    'are closed with 1012 when they are over, however busy they are',
    (place) =>
      whole(place, 50, async (one) => {
        const talk = setInterval(() => one.write(frame(TEXT, 'and another thing')), 10);
        const close = await one.frame(CLOSE).finally(() => clearInterval(talk));
        assert.equal(close.code, 1012);
        one.write(closeFrame(1012));
        await one.end();
      }),
    { expect: { opens: 50, closes: { 1012: 50 } }, counts: { closes: { maxLifetime: 50 } } },
  );

  attack(
    'are cut by closeTimeout when the peer does not answer',
    (place) => whole(place, 50, (one) => one.end()),
    { expect: { opens: 50, closes: { 1006: 50 } }, counts: { closes: { maxLifetime: 50, closeTimeout: 50 } } },
  );
});
