'use strict';
// Worker modules of the pool's tests write what happens to them into the file that WSBROKER_TEST_LOG names.
const { appendFileSync } = require('node:fs');
const { threadId } = require('node:worker_threads');

exports.record = (what) => appendFileSync(process.env.WSBROKER_TEST_LOG, `${what} ${threadId}\n`);
