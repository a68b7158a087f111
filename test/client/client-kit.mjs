// What the tests of `wsbroker/client` on sockets and a clock of their own begin with.
import assert from 'node:assert/strict';

import { ClientError, connect } from '../../lib/client.mjs';
import { settled } from './fake-world.mjs';

export const URL_ = 'wss://example.org/socket';
export const EPOCH = '0123456789abcdef';
export const at = (offset, epoch = EPOCH) => ({ offset, epoch });
export const frame = (offset, data = `m${offset}`, channel = 'a') => `${offset} ${channel}\n${data}`;
export const subscribed = (position, more) => ({ type: 'subscribed', channel: 'a', recovered: true, replayed: 0, position, ...more });
export const quiet = { onMessage() {} };

/** A client that the server has welcomed. */
export async function welcomed(world, options) {
  const client = connect(URL_, options);
  await settled();
  await world.socket.welcome();
  world.socket.taken();
  return client;
}

/** Loses the connection, waits, and is welcomed again. Returns what is sent then. */
export async function again(world, code, reason) {
  const { length } = world.sockets;
  await world.socket.end(code, reason);
  while (world.sockets.length === length) await world.pass(100);
  await world.socket.welcome();
  const [hello, ...sent] = world.socket.taken();
  assert.equal(hello.type, 'hello');
  return sent;
}

/** A subscription that writes down what happens. */
export function listen(client, options = {}) {
  const seen = [];
  const note = (name) => (detail) => void seen.push([name, detail]);
  const subscription = client.subscribe('a', {
    onMessage: ({ offset, data }) => void seen.push(`${offset} ${data}`),
    onLost: note('lost'),
    onEnd: note('end'),
    ...options,
  });
  return { subscription, seen, take: () => seen.splice(0) };
}

export const failure = (reason, message = /./) => (error) => {
  assert.ok(error instanceof ClientError, `${error}`);
  assert.deepEqual([error.name, error.reason], ['ClientError', reason]);
  assert.match(error.message, message);
  return true;
};
