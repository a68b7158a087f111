'use strict';
const { threadId } = require('node:worker_threads');
const { record } = require('./record.cjs');

exports.handleStart = async () => {
  record('start');
  if (threadId % 2 === 0) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    throw new Error('the second one');
  }
};
exports.handleStop = () => record('stop');
