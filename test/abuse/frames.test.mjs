// Frames that break the rules: each ends its connection, with the right code, and no other.
import assert from 'node:assert/strict';

import { BINARY, CLOSE, closeFrame, frame, PING, PONG, TEXT } from '../e2e/raw.mjs';
import { many, site, sized } from './kit.mjs';

const hex = (text) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const close = (code, reason = '') => frame(CLOSE, Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason, 'latin1')]));
const CONTINUATION = 0;
/** A header that declares a length, in any of its forms, with a mask of zeros and so much of the payload. */
const declared = (first, form, length, payload = 0) => {
  const size = { 16: 2, 64: 8 }[form];
  const head = Buffer.alloc(2 + size);
  head[0] = first;
  head[1] = 0x80 | (form === 16 ? 126 : 127);
  if (form === 16) head.writeUInt16BE(length, 2);
  else head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, Buffer.alloc(4 + payload)]);
};

const BAD = [
  ...[1, 2, 3, 4, 5, 6, 7].flatMap((rsv) => [
    [`reserved bits ${rsv} on text`, 1002, frame(TEXT, 'x', { rsv })],
    [`reserved bits ${rsv} on a ping`, 1002, frame(PING, 'x', { rsv })],
  ]),
  ['a reserved bit on a continuation', 1002, Buffer.concat([frame(TEXT, 'a', { fin: false }), frame(CONTINUATION, 'b', { rsv: 4 })]) ],
  ['a reserved bit on a close', 1002, frame(CLOSE, '', { rsv: 4 })],
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) => [`opcode ${opcode}`, 1002, frame(opcode, 'x')]),
  ['opcode 3 in fragments', 1002, frame(3, 'x', { fin: false })],
  // Masks.
  ['text without a mask', 1002, frame(TEXT, 'x', { mask: false })],
  ['empty text without a mask', 1002, hex('8100')],
  ['a ping without a mask', 1002, frame(PING, 'x', { mask: false })],
  ['a close without a mask', 1002, frame(CLOSE, hex('03e8'), { mask: false })],
  ['a continuation without a mask', 1002, Buffer.concat([frame(TEXT, 'a', { fin: false }), frame(CONTINUATION, 'b', { mask: false })])],
  // Lengths.
  ['5 as a 16-bit length', 1002, declared(0x81, 16, 5, 5)],
  ['125 as a 16-bit length', 1002, declared(0x82, 16, 125, 125)],
  ['0 as a 64-bit length', 1002, declared(0x81, 64, 0)],
  ['126 as a 64-bit length', 1002, declared(0x82, 64, 126, 126)],
  ['65,535 as a 64-bit length', 1002, declared(0x82, 64, 65_535)],
  ['a 64-bit length with the top bit', 1002, declared(0x82, 64, 2n ** 63n)],
  ['a 64-bit length of all ones', 1002, declared(0x82, 64, 2n ** 64n - 1n)],
  ['2^63 - 1 bytes announced', 1009, declared(0x82, 64, 2n ** 63n - 1n)],
  ['2^32 bytes announced', 1009, declared(0x82, 64, 2n ** 32n)],
  ['2^31 bytes announced', 1009, declared(0x82, 64, 2n ** 31n)],
  ['a byte more than maxPayload announced', 1009, declared(0x82, 64, (1 << 20) + 1)],
  ['a byte more than maxPayload in text', 1009, frame(TEXT, 'x'.repeat((1 << 20) + 1))],
  ['a byte more than maxPayload in two fragments', 1009, Buffer.concat([frame(TEXT, 'x'.repeat(1 << 20), { fin: false }), frame(CONTINUATION, 'x')])],
  ['a fragment that would be too much, announced', 1009, Buffer.concat([frame(BINARY, 'x', { fin: false }), declared(0, 64, 1 << 20)])],
  ['a fragment with a length that overflows the sum', 1009, Buffer.concat([frame(BINARY, 'x', { fin: false }), declared(0, 64, 2n ** 63n - 1n)])],
  // Control frames.
  ...[[PING, 'ping'], [PONG, 'pong'], [CLOSE, 'close']].flatMap(([opcode, name]) => [
    [`a ${name} of 126 bytes`, 1002, frame(opcode, Buffer.concat([hex('03e8'), Buffer.alloc(124, 'x')]))],
    [`a ${name} of 65,536 bytes announced`, 1002, declared(0x80 | opcode, 64, 65_536)],
    [`a ${name} without its end`, 1002, frame(opcode, '', { fin: false })],
    [`a ${name} without its end within a message`, 1002, Buffer.concat([frame(TEXT, 'a', { fin: false }), frame(opcode, '', { fin: false })])],
  ]),
  // Fragments.
  ['a continuation of nothing', 1002, frame(CONTINUATION, 'x')],
  ['a continuation of nothing that goes on', 1002, frame(CONTINUATION, 'x', { fin: false })],
  ['a continuation behind a whole message', 1002, Buffer.concat([frame(BINARY, 'a'), frame(CONTINUATION, 'x')])],
  ['text within a message', 1002, Buffer.concat([frame(TEXT, 'a', { fin: false }), frame(TEXT, 'b')])],
  ['binary within a message', 1002, Buffer.concat([frame(TEXT, 'a', { fin: false }), frame(PING), frame(BINARY, 'b', { fin: false })])],
  // Text.
  ['text that is not UTF-8', 1007, frame(TEXT, hex('ff'))],
  ['text with a surrogate', 1007, frame(TEXT, hex('eda080'))],
  ['text with an overlong slash', 1007, frame(TEXT, hex('c0af'))],
  ['text beyond U+10FFFF', 1007, frame(TEXT, hex('f4908080'))],
  ['text that ends within a character', 1007, frame(TEXT, hex('61 e282'))],
  ['text in fragments that ends within a character', 1007, Buffer.concat([frame(TEXT, hex('e2'), { fin: false }), frame(CONTINUATION, hex('82'))])],
  ['text in fragments that turns bad in the second', 1007, Buffer.concat([frame(TEXT, 'good', { fin: false }), frame(CONTINUATION, hex('fe'), { fin: false })])],
  ['text that is bad long before it ends', 1007, Buffer.concat([declared(0x81, 64, 1 << 20), hex('c080')])],
  // Closes.
  ['a close of one byte', 1002, frame(CLOSE, hex('03'))],
  ...[0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 32_768, 65_535].map((code) => [`close code ${code}`, 1002, close(code)]),
  ['a close reason that is not UTF-8', 1007, close(1000, '\xff')],
  ['a close reason that ends within a character', 1007, close(1000, '\xe2\x82')],
  ['a bad close code with a bad reason', 1002, close(999, '\xff')],
];

const CAUSES = { 1002: 'protocol', 1007: 'invalidPayload', 1009: 'maxPayload' };
const TIMES = sized(6, 400);

site('malformed frames', {}, (attack) => {
  for (const [what, code, bytes] of BAD) {
    attack(`${what} is closed with ${code}`, (place) => many(TIMES, 8, () => place.closedWith(code, bytes)), {
      expect: { opens: TIMES, texts: 0, binaries: what.includes('behind a whole') ? TIMES : 0, closes: { [code]: TIMES } },
      counts: { rejected: {}, closes: { [CAUSES[code]]: TIMES } },
    });
  }

  attack(
    'a malformed frame that comes byte by byte is seen as soon as it is one',
    (place) =>
      many(TIMES, 8, async () => {
        const one = await place.open();
        one.socket.setNoDelay(true);
        for (const byte of declared(0x82, 64, 2n ** 63n).subarray(0, 10)) {
          one.write(Buffer.from([byte]));
          await new Promise((resolve) => setImmediate(resolve));
        }
        await place.closes(one, 1002);
      }),
    { expect: { opens: TIMES, closes: { 1002: TIMES } } },
  );

  attack(
    'what comes behind a malformed frame is not heard',
    (place) => many(TIMES, 8, () => place.closedWith(1002, Buffer.concat([frame(3, ''), frame(TEXT, 'not heard'), closeFrame(1000)]))),
    { expect: { opens: TIMES, texts: 0, closes: { 1002: TIMES } } },
  );

  attack(
    'what comes before a malformed frame is heard, and answered before the close',
    (place) =>
      many(TIMES, 8, async () => {
        const one = await place.closedWith(1002, Buffer.concat([frame(TEXT, 'heard'), frame(PING, 'p'), frame(3, '')]));
        assert.deepEqual(one.frames.map((each) => each.opcode).sort(), [TEXT, CLOSE, PONG].sort());
      }),
    { expect: { opens: TIMES, texts: TIMES, closes: { 1002: TIMES } } },
  );

  attack(
    'random bytes behind the 101 end in a close, never in anything else',
    (place) =>
      many(sized(100, 5000), 8, async (n) => {
        // The same bytes in every round: no frame of a client begins with a byte of which the reserved bits are set.
        let seed = n * 2654435761 + 1;
        const noise = Buffer.from(Array.from({ length: 400 }, () => ((seed = (seed * 1103515245 + 12345) & 0x7fffffff) >> 16) & 255));
        noise[0] |= 0x70;
        await place.closedWith(1002, noise);
      }),
    { expect: { opens: sized(100, 5000), closes: { 1002: sized(100, 5000) } } },
  );
});
