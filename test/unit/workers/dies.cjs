'use strict';
const { record } = require('./record.cjs');

exports.handleStart = () => {
  record('start');
  setTimeout(() => {
    throw new Error('died of a timer');
  }, 20);
};
