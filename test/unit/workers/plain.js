'use strict';
exports.handleStart = () => require('./record.cjs').record('start');
