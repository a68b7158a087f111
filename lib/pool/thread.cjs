"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
require("./in-pool.cjs");
const node_module_1 = require("node:module");
const threads = require("node:worker_threads");
const errors_cjs_1 = require("../errors.cjs");
const modules_cjs_1 = require("../worker/modules.cjs");
const register_cjs_1 = require("../worker/register.cjs");
const report_cjs_1 = require("../report.cjs");
const { file, port, workerData } = threads.workerData.wsbroker;
// For `require` and, with the second call, for `import`.
threads.workerData = workerData;
(0, node_module_1.syncBuiltinESMExports)();
const post = (message) => port.postMessage(message);
report_cjs_1.warnings.emit = (text) => post({ type: 'warning', text });
port.on('message', (message) => {
    const registration = (0, register_cjs_1.currentRegistration)();
    const stopped = registration === undefined ? Promise.resolve() : registration.stop(message.timeout);
    void stopped.then(() => {
        port.close();
        // Timers and sockets of the application's module would keep the thread alive for ever.
        process.exit(0);
    });
});
// The thread that started this one has ended.
port.on('close', () => process.exit(0));
(0, modules_cjs_1.loadWorker)(file, 0, () => post({ type: 'loaded' })).then(() => post({ type: 'ready' }), (error) => {
    try {
        post({ type: 'failed', error: (0, errors_cjs_1.toPortable)(error) });
    }
    catch (reason) {
        (0, report_cjs_1.reportError)(`${file} failed, and its error cannot be sent to the pool`, reason);
        process.exit(1);
    }
});
