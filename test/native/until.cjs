'use strict';

/** Waits for a condition, with a deadline. */
exports.until = async (what, probe) => {
  const deadline = Date.now() + 15_000;
  while (!probe()) {
    if (Date.now() > deadline) throw new Error(`not within 15 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
};
