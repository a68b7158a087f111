"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.useLogger = useLogger;
const async_scope_cjs_1 = require("./async-scope.cjs");
const load_cjs_1 = require("./native/load.cjs");
const report_cjs_1 = require("./report.cjs");
/** Passes what the addon logs to this function, on this thread; to none without one. */
function useLogger(logger, level) {
    if (logger === undefined) {
        load_cjs_1.native.setLogger(level);
        return;
    }
    const call = (0, async_scope_cjs_1.inScopeHere)(logger);
    let threw = false;
    load_cjs_1.native.setLogger(level, (record) => {
        try {
            call(record);
        }
        catch (error) {
            // Once: records may come by the thousand.
            if (!threw)
                (0, report_cjs_1.reportError)('the logger threw, which is reported once', error);
            threw = true;
        }
    });
}
