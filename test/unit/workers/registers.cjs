'use strict';
const { join } = require('node:path');
const { record } = require('./record.cjs');
const { registerWorkerThread } = require(join(__dirname, '..', '..', '..', 'lib', 'index.cjs'));

registerWorkerThread({ handleStart: () => record('start') });
