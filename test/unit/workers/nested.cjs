'use strict';
const { join } = require('node:path');
const { start } = require(join(__dirname, '..', '..', '..', 'lib', 'index.cjs'));

exports.handleStart = () => start({ bind: '127.0.0.1:0', workerPath: __filename });
