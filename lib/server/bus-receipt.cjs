"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.receiptOf = receiptOf;
const errors_cjs_1 = require("../errors.cjs");
const load_cjs_1 = require("../native/load.cjs");
/** What becomes of a publish that Redis numbers. */
async function receiptOf(ticket, subscribers) {
    const { position, duplicate, reason, unknown } = await load_cjs_1.native.busReceipt(ticket);
    if (position !== undefined && position !== null) {
        return { ...position, subscribers, ...(duplicate ? { duplicate: true } : {}) };
    }
    const stored = unknown ? 'unknown' : false;
    const what = unknown ? 'the message may be stored or not' : 'the message is not stored';
    const error = new errors_cjs_1.WSBrokerError('ERR_WSBROKER_BUS_LOST', `publish: ${what}: ${reason}`);
    throw Object.assign(error, { stored });
}
