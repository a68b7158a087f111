// Messages that come together: each is handled when promises of the one before it have gone on, as on a runtime's own server. On the addon.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { CLOSE, frame, open, TEXT } from '../e2e/raw.mjs';
import { pool } from './native-kit.mjs';

const text = (event, data) => frame(TEXT, JSON.stringify({ event, data }));

/** Functions that decide at once, and yet by promises; `look` tells what the handler has seen when it began and when it had waited. */
const options = `{
  authenticateFn: async () => ({ userId: 'u' }),
  validateRoomFn: async ({ rooms }) => rooms,
  messageHandler: async ({ clientId, message }) => {
    const { helper } = globalThis;
    const seen = () => helper.getClientsByRoom({ room: 'r' }).length;
    const began = [seen(), (globalThis.ended ?? 0)];
    await null;
    await null;
    globalThis.ended = message.data;
    helper.sendToClient({ clientId, event: 'looked', data: [...began, message.data] });
    if (message.data === 3) await helper.getClients({ id: clientId }).socket.close(1000);
  },
}`;

test('authenticate, join and what follows may come at once', async (t) => {
  const server = await pool(t, { threads: 1, options, handlers: '(globalThis.helper = context.helper, {})' });
  const looks = [1, 2, 3, 4].map((number) => text('look', number));
  const raw = await open(server, { target: '/ws', behind: Buffer.concat([text('authenticate', {}), text('join', { rooms: ['r'] }), ...looks]) });
  await raw.frame(CLOSE);
  const told = raw.frames.filter((one) => one.opcode === TEXT).map((one) => JSON.parse(one.text));
  assert.equal(told[0].event, 'connected');
  // The fourth came behind the end.
  assert.deepEqual(told.slice(1).map(({ data }) => data), [[1, 0, 1], [1, 1, 2], [1, 2, 3]]);
});

test('thousands that come together and wait for promises are handled one behind the other', async (t) => {
  const COUNT = 5000;
  const server = await pool(t, {
    threads: 1,
    options: `{
      authenticateFn: async () => ({}),
      messageHandler: async ({ clientId, message: { data } }) => {
        await null;
        (globalThis.order ??= []).push(data);
        if (data === ${COUNT}) globalThis.helper.sendToClient({ clientId, event: 'order', data: globalThis.order });
      },
    }`,
    handlers: '(globalThis.helper = context.helper, {})',
  });
  const numbers = Array.from({ length: COUNT }, (_, i) => i + 1);
  const raw = await open(server, { target: '/ws', behind: text('authenticate', {}) });
  await raw.frame(TEXT);
  raw.write(Buffer.concat(numbers.map((number) => text('number', number))));
  assert.deepEqual(JSON.parse((await raw.frame(TEXT, 1)).text), { event: 'order', data: numbers });
  const metrics = await server.main((wsb) => wsb.metrics());
  const measured = Number(/^wsbroker_handler_duration_seconds_count\{handler="messageHandler"\} (\d+)$/m.exec(metrics)[1]);
  // One in 64: 45 and 111 are 6 standard deviations from the 78 of 5000.
  assert.ok(measured >= 45 && measured <= 111, `${measured} of them are measured`);
});
