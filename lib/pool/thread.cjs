"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
require("../merged.cjs")("pool/in-pool.cjs");
const node_module_1 = require("node:module");
const threads = require("node:worker_threads");
const errors_cjs_1 = require("../merged.cjs")("errors.cjs");
const modules_cjs_1 = require("../merged.cjs")("worker/modules.cjs");
const register_cjs_1 = require("../merged.cjs")("worker/register.cjs");
const report_cjs_1 = require("../merged.cjs")("report.cjs");
const report_imports_cjs_1 = require("../merged.cjs")("pool/report-imports.cjs");
const { file, port, workerData, held, imports } = threads.workerData.wsbroker;
// For `require` and, with the second call, for `import`.
threads.workerData = workerData;
(0, node_module_1.syncBuiltinESMExports)();
register_cjs_1.thread.held = held;
const post = (message) => port.postMessage(message);
report_cjs_1.warnings.emit = (text) => post({ type: 'warning', text });
let superseded = false;
port.on('message', (message) => {
    switch (message.type) {
        case 'begin':
            register_cjs_1.thread.held = false;
            (0, register_cjs_1.currentRegistration)()?.begin();
            return post({ type: 'begun' });
        case 'supersede':
            superseded = true;
            for (const helper of register_cjs_1.thread.helpers)
                helper.stopAccepting();
            return;
        case 'stop':
            return void end((registration) => registration.stop(message.timeout));
        case 'leave':
            return void end((registration) => registration.leave(message.timeout));
    }
    message;
});
async function end(stop) {
    if (superseded) {
        // Before `handleStop`, which may shut them down in another way.
        const left = await Promise.all([...register_cjs_1.thread.helpers].map((helper) => helper.leave()));
        post({ type: 'closed', clients: left.reduce((sum, clients) => sum + clients, 0) });
    }
    const registration = (0, register_cjs_1.currentRegistration)();
    if (registration !== undefined && !(await stop(registration)))
        post({ type: 'unfinished' });
    port.close();
    // Timers and sockets of the application's module would keep the thread alive for ever.
    process.exit(0);
}
// The thread that started this one has ended.
port.on('close', () => process.exit(0));
const reported = imports === undefined ? undefined : (0, report_imports_cjs_1.reportImports)(imports);
(0, modules_cjs_1.loadWorker)(file, 0, () => post({ type: 'loaded' }))
    .finally(() => reported?.())
    .then(() => post({ type: 'ready' }), (error) => {
    try {
        post({ type: 'failed', error: (0, errors_cjs_1.toPortable)(error) });
    }
    catch (reason) {
        (0, report_cjs_1.reportError)(`${file} failed, and its error cannot be sent to the pool`, reason);
        process.exit(1);
    }
});
