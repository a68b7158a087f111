'use strict';
const { readFileSync } = require('node:fs');
const { threadId } = require('node:worker_threads');
const { record } = require('./record.cjs');

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const started = () => readFileSync(process.env.WSBROKER_TEST_LOG, 'utf8').match(/^start /gm).length;

exports.handleStart = async () => {
  record('start');
  if (threadId % 2 === 0) {
    while (started() < 2) await pause(5);
    // It has begun; that it is ready is said by nothing that can be seen from here.
    await pause(200);
    throw new Error('the second one');
  }
};
exports.handleStop = () => record('stop');
