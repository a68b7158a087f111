'use strict';
const { isMainThread } = require('node:worker_threads');
const { record } = require('./record.cjs');

module.exports = {
  async handleStart() {
    await new Promise((resolve) => setTimeout(resolve, 20));
    record('start');
  },
  handleTextMessage() {},
  async handleStop() {
    await null;
    record('stop');
  },
};
// The user's own timers must not keep a thread that was told to stop.
if (!isMainThread) setInterval(() => undefined, 1000);
