'use strict';
// A dispatcher that lets errors out.

const WebSocket = require('ws');
const { native, listenOptions } = require('../addon.cjs');

const uncaught = [];
process.on('uncaughtException', (error) => uncaught.push(error.message));

let view;
function dispatch(count, ...data) {
  for (let i = 0; i < count; i++) {
    const slot = view.slots[i];
    view.state[slot] = 1;
    if (data[i] === '7' || data[i] === '70') throw new Error(`not a number: ${data[i]}`);
    native.send(view.ids[i], data[i]);
    view.state[slot] = 2;
  }
}

(async () => {
  const { control } = native.attachWorker(2, dispatch, () => setImmediate(native.drain), true);
  const count = new Int32Array(control, 0, 16)[2];
  view = { ids: new Float64Array(control, 64, 32), slots: new Int32Array(control, 448, 32), state: new Uint8Array(control, 1024 + 4 * count, count) };
  const listener = await native.listen(listenOptions());
  native.serve(listener);
  const client = new WebSocket(native.listenerAddress(listener).url, { perMessageDeflate: false });
  const answers = [];
  client.on('open', () => { for (let i = 0; i < 100; i++) client.send(String(i)); });
  client.on('message', (data) => {
    answers.push(Number(data));
    if (answers.length === 98) process.send({ uncaught, answers });
  });
})();
