// A program with a client, on the runtime that is under test. It does what lines on its stdin say,
// and writes down what happens, a JSON object a line.
import { createInterface } from 'node:readline';

import { connect } from '../../lib/client.mjs';

const [, , url, haste = '1'] = process.argv;
/** Makes the client's time go faster: what takes it 35 s takes the test 3.5. */
if (haste !== '1') {
  const later = globalThis.setTimeout;
  const now = performance.now.bind(performance);
  globalThis.setTimeout = (run, ms, ...args) => later(run, ms / haste, ...args);
  performance.now = () => now() * haste;
}

const tell = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
const told = (promise, n) =>
  promise.then(
    (value) => tell({ n, value }),
    ({ reason, message }) => tell({ n, reason, message }),
  );
const text = (data) => (typeof data === 'string' ? data : [...data]);

const client = connect(url, { token: async () => 'ann', backoff: { min: 20, max: 200 } });
client.on('state', (change) => tell({ event: 'state', ...change }));
client.on('message', (data) => tell({ event: 'message', data }));
client.on('error', (error) => tell({ event: 'error', message: String(error) }));

const orders = {
  subscribe({ channel, since, state }) {
    client.subscribe(channel, {
      since,
      onMessage: ({ offset, data }) => tell({ event: channel, offset, data: text(data) }),
      onLost: ({ position }) => tell({ event: 'lost', position }),
      onEnd: (reason) => tell({ event: 'end', reason }),
      ...(state && { getState: async ({ position }) => tell({ event: 'state read', position }) }),
    });
  },
  unsubscribe: ({ channel }) => client.unsubscribe(channel),
  publish: ({ n, channel, data, id }) => void told(client.publish(channel, Array.isArray(data) ? Uint8Array.from(data) : data, { id }), n),
  request: ({ n, data }) => void told(client.request(data), n),
  close: () => client.close(),
};
const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const order = JSON.parse(line);
  orders[order.do](order);
  // Nothing but the client keeps the process alive: when that is closed, it ends by itself.
  if (order.do === 'close') {
    lines.close();
    process.stdin.destroy();
  }
});
