'use strict';
// Echoes with a mark of the thread. Told to, it blocks, or ends in one way or another.

const { parentPort, threadId, workerData } = require('node:worker_threads');
const { native, attach } = require('../addon.cjs');

const worker = attach({
  text(id, text) {
    if (text === 'block') for (;;);
    if (text === 'exit') process.exit(3);
    if (text === 'throw') setTimeout(() => { throw new Error('on purpose'); });
    if (text === 'leave') {
      setTimeout(() => {
        native.send(id, `${threadId} last words`);
        native.detachWorker();
        // Until the test has heard them: nothing else of this thread's can have sent them.
        while (Atomics.load(workerData.heard, 0) === 0);
      });
    }
    if (text.startsWith('spin ')) {
      const end = performance.now() + Number(text.slice(5));
      while (performance.now() < end);
    }
    native.send(id, `${threadId} ${text}`);
  },
  ...workerData?.close && { close: (id, code) => parentPort.postMessage({ closed: id, code }) },
  ...workerData?.open && {
    open(id, request, slot) {
      if (request.path === '/wait') {
        parentPort.postMessage('asked');
        return new Promise(() => undefined);
      }
      native.openVerdict(slot, true);
    },
  },
}, { keepAlive: true });

parentPort.on('message', (message) => {
  if (message === 'detach') native.detachWorker();
  if (message === 'stats') parentPort.postMessage({ calls: worker.calls, events: worker.events, goodbyes: worker.goodbyes });
}).unref();
parentPort.postMessage('ready');
