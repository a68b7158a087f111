// An application of Nest in each worker. COMPILED is the folder that nest.test.mjs has compiled nest/ into.
import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const { createApp } = await import(pathToFileURL(`${process.env.COMPILED}/app.js`).href);
const sleeping = new Int32Array(new SharedArrayBuffer(4));
const { app, adapter } = await createApp({
  handleOpen(id, ip, headers, { query }) {
    const wanted = new URLSearchParams(query);
    const file = wanted.get('until');
    // From the verdict on the thread is busy, until this file is there.
    if (file) setImmediate(() => {
      for (let i = 0; i < 2000 && !existsSync(file); i++) Atomics.wait(sleeping, 0, 0, 5);
    });
    return { token: 'a token', channels: wanted.getAll('channel') };
  },
});

export default { ...adapter.handlers, handleStop: () => app.close() };
