"use strict";
// What keeps the process alive: servers that listen, and tasks such as `start` and `shutdown`.
Object.defineProperty(exports, "__esModule", { value: true });
exports.servers = void 0;
exports.keepingAlive = keepingAlive;
exports.hasTasks = hasTasks;
exports.updateKeepAlive = updateKeepAlive;
/** The servers of this thread, by the addon's number of their listener. */
exports.servers = new Map();
let tasks = 0;
let timer;
/** Runs the task. The process does not exit by itself meanwhile. */
async function keepingAlive(task) {
    tasks++;
    updateKeepAlive();
    try {
        return await task();
    }
    finally {
        tasks--;
        updateKeepAlive();
    }
}
function hasTasks() {
    return tasks > 0;
}
/** To be called after a change of {@link servers}. */
function updateKeepAlive() {
    if (tasks > 0 || [...exports.servers.values()].some(({ keepsAlive }) => keepsAlive)) {
        timer ??= setInterval(() => undefined, 2 ** 30);
    }
    else {
        clearInterval(timer);
        timer = undefined;
    }
}
