'use strict';
// The server that the suite talks to: an echo through JavaScript handlers on two workers. Writes its URL once it listens, and
// ends with its standard input.
const path = require('node:path');
const { shutdown, start } = require('wsbroker');

const MiB = 1024 * 1024;

start({
  bind: '127.0.0.1:0',
  workerPath: path.join(__dirname, 'worker.cjs'),
  threads: 2,
  maxPayload: 16 * MiB, // the largest message of section 9
  maxBackpressure: 64 * MiB,
  perMessageDeflate: true,
}).then(
  ({ url }) => {
    console.log(url);
    process.stdin.resume().on('end', () => void shutdown({ timeout: 1000 }).then(() => process.exit(0)));
  },
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
