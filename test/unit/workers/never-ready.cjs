'use strict';
const { record } = require('./record.cjs');

exports.handleStart = () => {
  record('start');
  return new Promise(() => undefined);
};
