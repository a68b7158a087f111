"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.drainAll = drainAll;
const async_scope_cjs_1 = require("../async-scope.cjs");
const load_cjs_1 = require("../native/load.cjs");
const report_cjs_1 = require("../report.cjs");
const keep_alive_cjs_1 = require("./keep-alive.cjs");
// `drain`. The schedule is the addon's: it keeps to it however busy this thread is.
function drainAll(options, onProgress) {
    if (onProgress === undefined)
        return (0, keep_alive_cjs_1.keepingAlive)(() => load_cjs_1.native.drainBroker(options));
    const call = (0, async_scope_cjs_1.inScopeHere)(onProgress);
    let last;
    let over = false;
    const tell = (progress) => {
        if (over)
            return;
        last = progress;
        try {
            call(progress);
        }
        catch (error) {
            (0, report_cjs_1.reportError)('the onProgress of drain threw', error);
        }
    };
    return (0, keep_alive_cjs_1.keepingAlive)(async () => {
        const report = await load_cjs_1.native.drainBroker(options, tell);
        // What the addon still says would come behind the result.
        const { closed, cut } = report;
        if (last?.open !== 0 || last.closed !== closed || last.cut !== cut)
            tell({ open: 0, closed, cut });
        over = true;
        return report;
    });
}
