'use strict';
const { start } = require('../../../lib/index.cjs');

start({ bind: '127.0.0.1:0', workerPath: process.argv[2], threads: Number(process.argv[3]) }).then(async (server) => {
  console.log('listening');
  await server.close();
  console.log('closed');
});
