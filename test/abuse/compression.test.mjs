// Compressed messages that are bombs, or no compressed messages at all.
import assert from 'node:assert/strict';
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';

import { until } from '../e2e/harness.mjs';
import { BINARY, CLOSE, closeFrame, frame, PING, TEXT } from '../e2e/raw.mjs';
import { many, MiB, site, sized } from './kit.mjs';

const CONTINUATION = 0;
const TIMES = sized(8, 200);
const TAIL = Buffer.from([0, 0, 255, 255]);
const offer = (value) => ({ headers: { 'Sec-WebSocket-Extensions': value } });
const OFFER = offer('permessage-deflate; client_max_window_bits');

/** RFC 7692, section 7.2.1: without the tail that every message would end with. */
function compressed(data, level = 9) {
  const all = deflateRawSync(data, { level, finishFlush: constants.Z_SYNC_FLUSH });
  assert.deepEqual(all.subarray(-4), TAIL);
  return all.subarray(0, -4);
}
const deflated = (opcode, data, more) => frame(opcode, compressed(Buffer.from(data)), { rsv: 4, ...more });
const inflated = (payload) => inflateRawSync(Buffer.concat([payload, TAIL]), { finishFlush: constants.Z_SYNC_FLUSH });
const bytes = (hex) => Buffer.from(hex.replaceAll(' ', ''), 'hex');

/** Zeros, a thousandth of their size: each repetition of the block is as many more. */
const ZEROS = Buffer.concat([compressed(Buffer.alloc(MiB)), TAIL]);
const bomb = (megabytes) => Buffer.concat(Array.from({ length: megabytes }, () => ZEROS));

site('compression', { options: { perMessageDeflate: true, maxPayload: MiB, maxBackpressure: 256 << 10, closeTimeout: 500 } }, (attack) => {
  const closed = (code, cause, count = TIMES) => ({ expect: { opens: count, texts: 0, binaries: 0, closes: { [code]: count } }, counts: { rejected: {}, closes: { [cause]: count } } });

  const bombs = [
    ['a bomb of 64 MiB', frame(BINARY, bomb(64), { rsv: 4 })],
    ['a bomb of a GiB', frame(BINARY, bomb(sized(512, 1000)), { rsv: 4 })],
    ['a bomb in fragments', Buffer.concat([frame(TEXT, bomb(100), { fin: false, rsv: 4 }), frame(CONTINUATION, bomb(100), { fin: false }), frame(CONTINUATION, bomb(100))])],
    ['a byte more than maxPayload', deflated(BINARY, Buffer.alloc(MiB + 1))],
    ['two megabytes of text', deflated(TEXT, 'a'.repeat(2 * MiB))],
  ];
  for (const [what, message] of bombs) {
    attack(`${what} is closed with 1009`, (place) => many(TIMES, 4, () => place.closedWith(1009, message, OFFER)), { ...closed(1009, 'maxPayload'), most: 16 * MiB, tolerance: 6 * MiB });
  }
  attack(
    'many bombs at once cost what their compressed bytes cost',
    async (place) => {
      const all = await Promise.all(Array.from({ length: 30 }, () => place.open(OFFER)));
      const message = frame(BINARY, bomb(200), { rsv: 4 });
      for (const one of all) one.write(message);
      await Promise.all(all.map((one) => place.closes(one, 1009)));
    },
    { ...closed(1009, 'maxPayload', 30), most: 32 * MiB, tolerance: 8 * MiB },
  );
  attack(
    'more compressed bytes than maxPayload are closed with 1009 as soon as they are announced',
    (place) => many(TIMES, 4, () => place.closedWith(1009, frame(BINARY, Buffer.alloc(3 * MiB), { rsv: 4 }).subarray(0, 14), OFFER)),
    closed(1009, 'maxPayload'),
  );

  for (const [what, message] of [
    ['a block of the reserved type', frame(BINARY, bytes('07'), { rsv: 4 })],
    ['a stored block with a wrong length', frame(BINARY, bytes('00 05 00 00 00 61 61'), { rsv: 4 })],
    ['a distance beyond the beginning', frame(BINARY, bytes('03 02'), { rsv: 4 })],
    ['noise', frame(BINARY, Buffer.from(Array.from({ length: 300 }, (_, n) => 0xff - ((n * 31) & 0x7f))), { rsv: 4 })],
    ['text that is not UTF-8', deflated(TEXT, Buffer.from([0x61, 0xff]))],
    ['text that ends within a character', deflated(TEXT, Buffer.from([0xe2, 0x82]))],
    ['a reserved window of Huffman codes', frame(BINARY, bytes('fc ff ff ff ff ff'), { rsv: 4 })],
  ]) {
    attack(`${what} is closed with 1007`, (place) => many(TIMES, 8, () => place.closedWith(1007, message, OFFER)), closed(1007, 'invalidPayload'));
  }

  for (const [what, message, more] of [
    ['compression that was not agreed on', deflated(TEXT, 'hello'), {}],
    ['a compressed ping', frame(PING, compressed(Buffer.from('x')), { rsv: 4 }), OFFER],
    ['a compressed close', frame(CLOSE, '', { rsv: 4 }), OFFER],
    ['a compressed continuation', Buffer.concat([deflated(TEXT, 'hello', { fin: false }), frame(CONTINUATION, '', { rsv: 4 })]), OFFER],
    ['a continuation that begins to be compressed', Buffer.concat([frame(TEXT, 'hello', { fin: false }), deflated(CONTINUATION, 'x')]), OFFER],
    ['the second reserved bit', frame(TEXT, 'x', { rsv: 6 }), OFFER],
    ['the third reserved bit', frame(TEXT, 'x', { rsv: 1 }), OFFER],
  ]) {
    attack(`${what} is closed with 1002`, (place) => many(TIMES, 8, () => place.closedWith(1002, message, more)), closed(1002, 'protocol'));
  }

  for (const value of [
    'permessage-deflate; server_max_window_bits=8', 'permessage-deflate; server_max_window_bits=16', 'permessage-deflate; client_max_window_bits=8', 'permessage-deflate; server_max_window_bits',
    'permessage-deflate; unknown', 'permessage-deflate; server_no_context_takeover=1', 'permessage-deflate; client_max_window_bits; client_max_window_bits', 'permessage-deflate; server_max_window_bits=09',
    'permessage-deflate; server_max_window_bits=1e1', 'permessage-bzip2', 'x-webkit-deflate-frame', Array.from({ length: 500 }, () => 'permessage-deflate; unknown').join(', '),
  ]) {
    attack(
      `the offer ${value.slice(0, 60)} is declined`,
      (place) =>
        many(TIMES, 8, async () => {
          const one = await place.open(offer(value));
          assert.equal(one.headers['sec-websocket-extensions'], undefined);
          one.write(frame(TEXT, 'plain'));
          assert.equal((await one.frame(TEXT)).text, 'plain');
        }),
      { expect: { opens: TIMES, texts: TIMES } },
    );
  }

  for (const [what, payload, text] of [
    ['nothing at all', bytes('00'), ''],
    ['a stored block', bytes('00 05 00 fa ff 68 65 6c 6c 6f 00'), 'hello'],
    ['a final block', bytes('4b 04 00 00'), 'a'],
    ['thousands of empty blocks', Buffer.concat([...Array.from({ length: 5000 }, () => bytes('00 00 00 ff ff')), compressed(Buffer.from('end'))]), 'end'],
    ['each letter in a block of its own', Buffer.concat([...Array.from({ length: 50 }, () => Buffer.concat([compressed(Buffer.from('a')), TAIL])), bytes('00')]), 'a'.repeat(50)],
  ]) {
    attack(
      `${what} is a message all the same`,
      (place) =>
        many(TIMES, 8, async () => {
          const one = await place.open(OFFER);
          one.write(frame(TEXT, payload, { rsv: 4 }));
          assert.equal((await one.frame(TEXT)).text, text);
        }),
      { expect: { opens: TIMES, texts: TIMES } },
    );
  }

  attack(
    'a megabyte of zeros is a kilobyte each way, thousands of times',
    async (place) => {
      const one = await place.open(OFFER);
      const message = deflated(BINARY, Buffer.alloc(MiB));
      for (let n = 0; n < sized(50, 1000); n++) {
        one.write(message);
        const echo = await one.frame(BINARY, n);
        assert.ok(echo.payload.length < 8 << 10, `${echo.payload.length} bytes`);
        if (n === 0) assert.equal(inflated(echo.payload).length, MiB);
      }
    },
    // Inflated it waits for the handler, as far as the windows reach, and for the collector behind it.
    { most: 64 * MiB, tolerance: 8 * MiB },
  );

  attack(
    'small bombs at the limit, whose echoes are not read, cost what they cost compressed',
    async (place) => {
      const one = await place.open(OFFER);
      one.stopReading();
      const message = deflated(BINARY, Buffer.alloc(MiB));
      const before = await place.told();
      for (let n = 0; n < 100; n++) one.write(message);
      await until(async () => (await place.told()).binaries - before.binaries === 100, 'all of them', 30_000);
      one.reset();
    },
    { expect: { opens: 1, binaries: 100 }, most: 64 * MiB, tolerance: 8 * MiB },
  );

  attack(
    'a flood of small compressed messages is echoed, each',
    async (place) => {
      const one = await place.open(OFFER);
      one.write(Buffer.concat(Array.from({ length: 2000 }, (_, n) => deflated(TEXT, `message ${n}`))));
      assert.equal((await one.frame(TEXT, 1999)).text, 'message 1999');
      one.write(closeFrame(1000));
      await one.end();
    },
    { expect: { opens: 1, texts: 2000, closes: { 1000: 1 } }, most: 16 * MiB },
  );
});
