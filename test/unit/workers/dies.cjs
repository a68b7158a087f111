'use strict';
// Dies of a timer when it is told to: by itself it might die before it is ready, on a busy machine.
const { record } = require('./record.cjs');

exports.handleStart = () => {
  record('start');
  const told = new BroadcastChannel('die');
  told.onmessage = () => {
    told.close();
    setTimeout(() => {
      throw new Error('died of a timer');
    }, 0);
  };
};
