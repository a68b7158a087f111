// Peers that do not read, do not answer, or are not there any more.
import assert from 'node:assert/strict';

import { until } from '../e2e/harness.mjs';
import { BINARY, CLOSE, closeFrame, frame, PING, PONG, request, TEXT } from '../e2e/raw.mjs';
import { many, MiB, site, sized } from './kit.mjs';

/** Sends as long as the server reads: when a second has passed in which it took nothing, it stops. Resolves to the bytes. */
async function push(one, block, most) {
  let sent = 0;
  while (sent < most && !one.ended) {
    sent += block.length;
    if (one.socket.write(block)) continue;
    const drained = new Promise((resolve) => one.socket.once('drain', () => resolve(true)));
    const ended = new Promise((resolve) => one.socket.once('close', () => resolve(true)));
    let timer;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, 1000)));
    const went = await Promise.race([drained, ended, late]).finally(() => clearTimeout(timer));
    if (!went) break;
  }
  return sent;
}

site('receivers that never read', { options: { maxBackpressure: 256 << 10, closeTimeout: 500, idleTimeout: 20_000 } }, (attack) => {
  attack(
    'echoes that are not read: at maxBackpressure the connection is closed with 1013',
    async (place) => {
      const one = await place.open();
      one.stopReading();
      await push(one, frame(BINARY, Buffer.alloc(60_000, 'x')), 100 * MiB);
      await until(async () => (await place.connections()) === place.residents, 'the connection to be given up');
    },
    { expect: { opens: 1, closes: { 1013: 1 } }, counts: { rejected: {}, closes: { maxBackpressure: 1 } }, most: 16 * MiB, tolerance: 6 * MiB },
  );

  attack(
    'subscribers that do not read are closed with 1013, the others have every publish',
    async (place) => {
      const slow = await Promise.all(Array.from({ length: 10 }, () => place.open({ target: '/subscribe' })));
      for (const one of slow) one.stopReading();
      const good = await place.open({ target: '/subscribe' });
      const text = 'n'.repeat(50_000);
      let sent = 0;
      // Until only the one that reads is left.
      await until(async () => {
        for (let n = 0; n < 4; n++) {
          await place.server.main((wsb, kit, data) => void wsb.sendToChannel('news', data), text);
          sent++;
        }
        await until(() => good.frames.length >= sent, 'every publish at the one that reads');
        return (await place.server.main((wsb) => wsb.subscriberCount('news'))) === 1;
      }, 'the slow ones to be closed', 60_000);
      assert.ok(good.frames.every((each) => each.payload.length === 50_000));
      await until(async () => (await place.connections()) === place.residents + 1, 'the slow ones to be gone');
      good.destroy();
    },
    { expect: { opens: 11, closes: { 1006: 1, 1013: 10 } }, counts: { closes: { lost: 1, maxBackpressure: 10 } }, most: 64 * MiB, tolerance: 6 * MiB },
  );

  attack(
    'pings whose pongs are not read cost no more than the buffers of the kernel',
    async (place) => {
      const all = await Promise.all(Array.from({ length: 5 }, () => place.open()));
      const block = Buffer.concat(Array.from({ length: 500 }, () => frame(PING, 'x'.repeat(125))));
      for (const one of all) one.stopReading();
      await Promise.all(all.map((one) => push(one, block, sized(12, 100) * MiB)));
      for (const one of all) one.reset();
    },
    { expect: { opens: 5 }, most: 24 * MiB, tolerance: 6 * MiB },
  );

  attack(
    'a client that does not read the answer to its close is cut by closeTimeout',
    (place) =>
      many(50, 50, async () => {
        const one = await place.open({ target: '/deaf' });
        one.stopReading();
        one.write(closeFrame(1000));
        await until(async () => (one.socket.write('x'), one.ended), 'the cut');
      }),
    { expect: { opens: 50, closes: { 1000: 50 } }, counts: { closes: { peer: 50, closeTimeout: 50 } } },
  );

  attack(
    'a client that reads a byte now and then is closed with 1013, too',
    async (place) => {
      const one = await place.open({ target: '/subscribe' });
      one.stopReading();
      const sip = setInterval(() => one.socket.read?.(1), 5);
      await until(async () => {
        await place.server.main((wsb) => void wsb.sendToChannel('news', 'x'.repeat(100_000)));
        return (await place.server.main((wsb) => wsb.subscriberCount('news'))) === 0;
      }, 'the connection to be closed', 60_000).finally(() => clearInterval(sip));
    },
    { expect: { opens: 1, closes: { 1013: 1 } }, counts: { rejected: {}, closes: { maxBackpressure: 1 } }, most: 16 * MiB, tolerance: 6 * MiB },
  );
});

const IDLE = sized(400, 2000);
const CLOSING = 300;

site('peers that are not there any more', { options: { idleTimeout: IDLE, closeTimeout: CLOSING } }, (attack) => {
  attack(
    'a client that answers no ping is cut by idleTimeout with 1006',
    async (place) => {
      const all = await Promise.all(Array.from({ length: sized(100, 2000) }, () => place.open()));
      const began = Date.now();
      await Promise.all(all.map((one) => one.end()));
      assert.ok(Date.now() - began < IDLE + 3000);
      assert.ok(all.every((one) => one.frames.length === 1 && one.frames[0].opcode === PING));
    },
    { expect: { opens: sized(100, 2000), closes: { 1006: sized(100, 2000) } }, counts: { rejected: {}, closes: { idleTimeout: sized(100, 2000) } } },
  );

  attack(
    'a client that disappears within a frame is cut by idleTimeout',
    async (place) => {
      const all = await Promise.all(Array.from({ length: 100 }, () => place.open()));
      for (const one of all) one.write(frame(BINARY, Buffer.alloc(100_000)).subarray(0, 50_000));
      await Promise.all(all.map((one) => one.end()));
    },
    { expect: { opens: 100, binaries: 0, closes: { 1006: 100 } }, counts: { closes: { idleTimeout: 100 } }, tolerance: 6 * MiB },
  );

  attack(
    'a client that does not answer our close frame is cut by closeTimeout',
    async (place) => {
      const all = await Promise.all(Array.from({ length: 100 }, () => place.open({ target: '/subscribe' })));
      const began = Date.now();
      await place.server.main((wsb) => void wsb.getSubscribers('news').forEach((id) => wsb.close(id, 4000, 'bye')));
      await Promise.all(all.map((one) => one.end()));
      const took = Date.now() - began;
      assert.ok(took >= CLOSING - 50 && took < CLOSING + 3000, `${took} ms`);
      assert.ok(all.every((one) => one.frames.at(-1).code === 4000));
    },
    { expect: { opens: 100, closes: { 1006: 100 } }, counts: { closes: { application: 100, closeTimeout: 100 } } },
  );

  attack(
    'a client that answers our close frame with floods instead is cut by closeTimeout, unheard',
    async (place) => {
      const all = await Promise.all(Array.from({ length: 10 }, () => place.open({ target: '/subscribe' })));
      const began = Date.now();
      await place.server.main((wsb) => void wsb.getSubscribers('news').forEach((id) => wsb.close(id, 4000, 'bye')));
      const block = Buffer.concat(Array.from({ length: 500 }, () => frame(TEXT, 'too late')));
      await Promise.all(all.map((one) => one.frame(CLOSE)));
      await Promise.all(all.map((one) => push(one, block, 1000 * MiB)));
      await Promise.all(all.map((one) => one.end()));
      assert.ok(Date.now() - began < CLOSING + 3000);
    },
    { expect: { opens: 10, texts: 0, closes: { 1006: 10 } }, counts: { closes: { application: 10, closeTimeout: 10 } }, most: 16 * MiB },
  );

  attack(
    'a client that answers our close frame and then keeps the connection is cut by closeTimeout',
    async (place) => {
      const all = await Promise.all(Array.from({ length: 50 }, async () => {
        const one = await place.open({ target: '/subscribe', allowHalfOpen: true });
        void one.frame(CLOSE).then((each) => one.write(closeFrame(each.code)));
        return one;
      }));
      await place.server.main((wsb) => void wsb.getSubscribers('news').forEach((id) => wsb.close(id, 4000, 'bye')));
      await until(() => place.descriptors() === place.filesAtRest, 'the cut');
      assert.ok(all.every((one) => !one.ended), 'we have not closed ours');
    },
    { expect: { opens: 50, closes: { 4000: 50 } }, counts: { closes: { application: 50, closeTimeout: 50 } } },
  );
});

site('connections that are reset', { options: {} }, (attack) => {
  const TIMES = sized(50, 1000);
  const none = { opens: 0, closes: {} };
  const gone = { rejected: { gone: TIMES }, closes: {} };
  const each = (how) => (place) => many(TIMES, 10, (n) => how(place, n));
  const cut = { rejected: {}, closes: { lost: TIMES } };
  const lost = { opens: TIMES, texts: 0, binaries: 0, closes: { 1006: TIMES } };

  attack('before the request', each(async (place) => (await place.tcp()).reset()), { expect: none, counts: gone });

  attack(
    'within the request',
    each(async (place) => {
      const one = await place.tcp();
      one.write(request().slice(0, 40));
      await new Promise((resolve) => setImmediate(resolve));
      one.reset();
    }),
    { expect: none, counts: gone },
  );

  attack(
    'behind a whole request, at once',
    each(async (place) => {
      const one = await place.tcp();
      one.write(request());
      one.reset();
    }),
  );

  attack(
    'while the verdict is awaited',
    async (place) => {
      const all = await Promise.all(Array.from({ length: TIMES }, () => place.tcp()));
      for (const one of all) one.write(request('/wait'));
      await until(() => place.inWorker((wsb, id, count) => globalThis.abuse.waiting.size === count, TIMES), 'the questions');
      for (const one of all) one.reset();
    },
    { expect: { opens: TIMES, closes: { 1006: TIMES } } },
  );

  attack('when it is open', each(async (place) => (await place.open()).reset()), { expect: lost, counts: cut });

  attack(
    'within a header',
    each(async (place) => {
      const one = await place.open();
      one.write(frame(BINARY, Buffer.alloc(70_000)).subarray(0, 5));
      await new Promise((resolve) => setImmediate(resolve));
      one.reset();
    }),
    { expect: lost, counts: cut },
  );

  attack(
    'within a frame',
    each(async (place) => {
      const one = await place.open();
      one.write(frame(BINARY, Buffer.alloc(70_000)).subarray(0, 30_000));
      await new Promise((resolve) => setImmediate(resolve));
      one.reset();
    }),
    { expect: lost, counts: cut },
  );

  attack(
    'within a message, between two of its fragments',
    each(async (place) => {
      const one = await place.open();
      one.write(Buffer.concat([frame(TEXT, 'a'.repeat(1000), { fin: false }), frame(PING)]));
      await one.frame(PONG);
      one.reset();
    }),
    { expect: lost, counts: cut },
  );

  attack(
    'while echoes are under way to it',
    each(async (place) => {
      const one = await place.open();
      one.stopReading();
      const block = Buffer.concat(Array.from({ length: 20 }, () => frame(TEXT, 'x'.repeat(10_000))));
      one.write(block);
      await new Promise((resolve) => setTimeout(resolve, 5));
      one.reset();
    }),
    { tolerance: 6 * MiB },
  );

  attack(
    'behind its close frame',
    each(async (place) => {
      const one = await place.open();
      one.write(closeFrame(1000));
      one.reset();
    }),
  );

  attack(
    'instead of an answer to our close frame',
    async (place) => {
      const all = await Promise.all(Array.from({ length: TIMES }, () => place.open({ target: '/subscribe' })));
      await place.server.main((wsb) => void wsb.getSubscribers('news').forEach((id) => wsb.close(id, 4000, 'bye')));
      await Promise.all(all.map((one) => one.frame(CLOSE)));
      for (const one of all) one.reset();
    },
    { expect: { opens: TIMES, closes: { 1006: TIMES } } },
  );

  attack(
    'by an end without a close frame',
    each(async (place) => {
      const one = await place.open();
      one.socket.end();
      await one.end();
    }),
    { expect: lost, counts: cut },
  );
});
