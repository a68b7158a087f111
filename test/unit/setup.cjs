'use strict';
// Loads the built package with the stand-in for the addon. Required before anything else of the package.
const { join } = require('node:path');

const binary = join(__dirname, 'fake-native.cjs');
process.env.WSBROKER_BINARY = binary;

exports.fake = require(binary).fake;
exports.lib = join(__dirname, '..', '..', 'lib');
exports.wsbroker = require(join(exports.lib, 'index.cjs'));

/** Turns of the microtask queue and the event loop, enough for whatever is ready to run. */
exports.settle = async () => {
  for (let i = 0; i < 3; i++) await new Promise(setImmediate);
};

/** A promise with its ends in hand. */
exports.deferred = () => {
  const deferred = {};
  deferred.promise = new Promise((resolve, reject) => Object.assign(deferred, { resolve, reject }));
  return deferred;
};

/** Waits for a condition, with a deadline. */
exports.until = async (condition, what = condition.toString()) => {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`in vain waited until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};
