// An application of Nest in each worker. COMPILED is the folder that nest.test.mjs has compiled nest/ into.
import { pathToFileURL } from 'node:url';

const { createApp } = await import(pathToFileURL(`${process.env.COMPILED}/app.js`).href);
const { app, adapter } = await createApp();

export default { ...adapter.handlers, handleStop: () => app.close() };
