'use strict';
// Dies when it is told to, and not before its pool knows that it is there.
const { BroadcastChannel } = require('node:worker_threads');

exports.handleStart = () => {
  new BroadcastChannel('pool').onmessage = () => {
    throw new Error('died as asked');
  };
};
