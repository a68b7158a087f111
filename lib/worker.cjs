"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
const node_worker_threads_1 = require("node:worker_threads");
const errors_cjs_1 = require("./errors.cjs");
const modules_cjs_1 = require("./modules.cjs");
const register_cjs_1 = require("./register.cjs");
const report_cjs_1 = require("./report.cjs");
const { file, port } = node_worker_threads_1.workerData.wsbroker;
register_cjs_1.thread.inPool = true;
const tell = (message) => port.postMessage(message);
port.on('message', (message) => {
    const registration = (0, register_cjs_1.currentRegistration)();
    const stopped = registration === undefined ? Promise.resolve() : registration.stop(message.timeout);
    void stopped.then(() => {
        port.close();
        // Timers and sockets of the user's module would keep the thread for ever.
        process.exit(0);
    });
});
// Whoever started this thread has ended.
port.on('close', () => process.exit(0));
(0, modules_cjs_1.loadWorker)(file, 0, () => tell({ type: 'loaded' })).then(() => tell({ type: 'ready' }), (error) => {
    try {
        tell({ type: 'failed', error: (0, errors_cjs_1.toPortable)(error) });
    }
    catch (odd) {
        (0, report_cjs_1.complain)(`${file} failed, and its error cannot be sent`, odd);
        process.exit(1);
    }
});
