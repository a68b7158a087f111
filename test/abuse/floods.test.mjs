// More of what is allowed than anybody needs: control frames, fragments, tiny messages.
import assert from 'node:assert/strict';

import { until } from '../e2e/harness.mjs';
import { BINARY, CLOSE, closeFrame, frame, PING, PONG, TEXT } from '../e2e/raw.mjs';
import { many, MiB, site, sized } from './kit.mjs';

const CONTINUATION = 0;
/** Frames in one flood, and in how many pieces they go out. */
const FLOOD = sized(200_000, 2_000_000);
const BLOCK = 1000;

/** Sends a block of frames again and again, as fast as the connection takes it. */
async function pour(one, block, count) {
  for (let sent = 0; sent < count && !one.ended; sent += BLOCK) {
    if (!one.socket.write(block)) {
      await Promise.race([new Promise((resolve) => one.socket.once('drain', resolve)), new Promise((resolve) => one.socket.once('close', resolve))]);
    }
  }
}

const blockOf = (bytes) => Buffer.concat(Array.from({ length: BLOCK }, () => bytes));
/** A message behind the flood: once it has its echo, the flood has been seen. */
async function fence(one, text = 'fence', ms) {
  one.write(frame(TEXT, text));
  await until(() => one.ended || one.lastText === text, 'the echo behind the flood', ms);
  assert.equal(one.lastText, text, 'the connection lives');
}

/** A connection of which only the counts of frames are kept. */
async function counting(place, more) {
  const one = await place.open(more);
  one.count = {};
  const see = (each) => {
    one.count[each.opcode] = (one.count[each.opcode] ?? 0) + 1;
    if (each.opcode === TEXT) one.lastText = each.text;
    if (each.opcode === CLOSE) one.closed = each.code;
  };
  one.frames.forEach(see);
  one.frames = { push: (...frames) => frames.forEach(see) };
  return one;
}

site('floods of control frames', { options: { idleTimeout: 20_000 } }, (attack) => {
  attack(
    'a flood of pings is answered, the last of them included',
    async (place) => {
      const one = await counting(place);
      await pour(one, blockOf(frame(PING, 'x'.repeat(125))), FLOOD / 4);
      await fence(one);
      assert.ok(one.count[PONG] >= 1 && one.count[PONG] <= FLOOD / 4, `${one.count[PONG]} pongs`);
      one.destroy();
    },
    { expect: { opens: 1, texts: 1 }, most: 12 * MiB },
  );

  attack(
    'a flood of pings whose answers are not read costs the buffers of the kernel',
    async (place) => {
      const one = await place.open();
      one.stopReading();
      await pour(one, blockOf(frame(PING, 'x'.repeat(125))), FLOOD / 4);
      const before = await place.told();
      one.write(frame(TEXT, 'fence'));
      await until(async () => (await place.told()).texts > before.texts, 'the end of the flood to be seen');
      one.destroy();
    },
    { most: 12 * MiB },
  );

  attack(
    'a flood of pongs is of no consequence',
    async (place) => {
      const one = await counting(place);
      await pour(one, blockOf(frame(PONG, 'nobody asked')), FLOOD);
      await fence(one);
      assert.deepEqual(one.count, { [TEXT]: 1 });
      one.destroy();
    },
    { expect: { opens: 1, texts: 1 }, most: 12 * MiB },
  );

  attack(
    'pings between the fragments of a message are answered, and the message is whole',
    async (place) => {
      const one = await counting(place);
      one.write(frame(TEXT, 'a', { fin: false }));
      await pour(one, blockOf(Buffer.concat([frame(PING, 'p'), frame(CONTINUATION, '', { fin: false })])), FLOOD / 4);
      one.write(frame(CONTINUATION, 'b'));
      await until(() => one.lastText === 'ab', 'the echo');
      one.destroy();
    },
    { expect: { opens: 1, texts: 1 }, most: 12 * MiB },
  );

  attack(
    'a storm of closes: each connection has one answer',
    (place) =>
      many(sized(500, 10_000), 100, async () => {
        const one = await place.open({ behind: blockOf(closeFrame(1000)) });
        await one.end();
        const codes = one.frames.map((each) => each.code);
        // A client that goes on sending after its close may lose the answer to the reset that this causes.
        assert.ok(codes.length === 0 || (codes.length === 1 && codes[0] === 1000), `${codes}`);
      }),
    { expect: { opens: sized(500, 10_000), closes: { 1000: sized(500, 10_000) } }, counts: { closes: { peer: sized(500, 10_000) } }, most: 32 * MiB },
  );

  attack(
    'closes with every code that is allowed are answered with the same',
    (place) =>
      many(14 * 8, 8, async (n) => {
        const code = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999][n % 14];
        await place.closedWith(code, closeFrame(code, 'reason '.repeat(17)));
      }),
    { expect: { opens: 14 * 8 } },
  );
});

site('floods of fragments and small messages', { options: { maxPayload: MiB } }, (attack) => {
  attack(
    'hundreds of thousands of empty fragments cost nothing, and their number has no limit',
    async (place) => {
      const one = await counting(place);
      one.write(frame(TEXT, '', { fin: false }));
      await pour(one, blockOf(frame(CONTINUATION, '', { fin: false })), FLOOD);
      one.write(frame(CONTINUATION, 'end'));
      await until(() => one.lastText === 'end', 'the echo');
      one.destroy();
    },
    { expect: { opens: 1, texts: 1 }, most: 8 * MiB },
  );

  attack(
    'hundreds of thousands of fragments of a byte cost what their bytes cost',
    async (place) => {
      const one = await counting(place);
      one.write(frame(TEXT, '', { fin: false }));
      await pour(one, blockOf(frame(CONTINUATION, 'x', { fin: false })), FLOOD);
      one.write(frame(CONTINUATION, 'y'));
      if (FLOOD < MiB) await until(() => one.lastText?.length === FLOOD + 1, 'the echo');
      else await until(() => one.closed === 1009, 'a close');
      one.destroy();
    },
    { most: 16 * MiB },
  );

  attack(
    'fragments that together are over maxPayload are closed with 1009 as soon as they are',
    async (place) => {
      const one = await counting(place);
      one.write(frame(BINARY, '', { fin: false }));
      await pour(one, blockOf(frame(CONTINUATION, 'x'.repeat(100), { fin: false })), FLOOD);
      await until(() => one.ended || one.closed, 'a close');
      // A client that goes on sending after an error may lose the close frame to the reset that this causes.
      assert.ok([1009, undefined].includes(one.closed), `${one.closed}`);
      one.destroy();
    },
    { expect: { opens: 1, binaries: 0, closes: { 1009: 1 } }, counts: { closes: { maxPayload: 1 } }, most: 16 * MiB },
  );

  attack(
    'many connections with an unfinished message each cost what they have sent',
    async (place) => {
      const all = await Promise.all(Array.from({ length: 200 }, () => place.open()));
      for (const one of all) one.write(frame(TEXT, 'x'.repeat(50_000), { fin: false }));
      for (const one of all) one.write(frame(PING));
      await Promise.all(all.map((one) => one.frame(PONG)));
      for (const one of all) one.reset();
    },
    // A shard keeps 8 MiB of memory for the next messages.
    { expect: { opens: 200, texts: 0 }, most: 40 * MiB, tolerance: 10 * MiB },
  );

  attack(
    'announced but unsent messages cost nothing',
    async (place) => {
      const all = await Promise.all(Array.from({ length: 500 }, () => place.open()));
      const start = frame(BINARY, Buffer.alloc(MiB)).subarray(0, 20);
      for (const one of all) one.write(start);
      // Those that come after them are served after them.
      const last = await place.open();
      await fence(await counting(place));
      last.write(frame(PING));
      await last.frame(PONG);
      for (const one of all) one.reset();
    },
    { expect: { opens: 502, binaries: 0 }, most: 16 * MiB },
  );

  attack(
    'a flood of empty messages is held back by the window, and all of it arrives',
    async (place) => {
      const one = await counting(place, { target: '/deaf' });
      const before = await place.told();
      await pour(one, blockOf(frame(BINARY, '')), FLOOD);
      await until(async () => (await place.told()).binaries - before.binaries === FLOOD, 'every message', 60_000);
      one.destroy();
    },
    { expect: { opens: 1, binaries: FLOOD }, most: 40 * MiB, tolerance: 6 * MiB },
  );
});
