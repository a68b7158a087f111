'use strict';
// Its handleStart ends when it is told to.
const { BroadcastChannel } = require('node:worker_threads');
const { record } = require('./record.cjs');

exports.handleStart = () => {
  record('loaded');
  const channel = new BroadcastChannel('pool');
  return new Promise((resolve) => (channel.onmessage = () => resolve(channel.close())));
};
