"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.within = within;
/** Whether the promise resolved within that many milliseconds; a rejection passes through, one that comes later is let go. */
async function within(timeout, promise) {
    let timer;
    const late = new Promise((resolve) => {
        timer = setTimeout(() => resolve(false), timeout);
    });
    try {
        return await Promise.race([promise.then(() => true), late]);
    }
    finally {
        clearTimeout(timer);
    }
}
