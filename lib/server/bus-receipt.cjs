"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.receiptOf = receiptOf;
exports.storedOrThrow = storedOrThrow;
const errors_cjs_1 = require("../errors.cjs");
const load_cjs_1 = require("../native/load.cjs");
/** What becomes of a publish that Redis numbers. */
async function receiptOf(ticket, subscribers) {
    const { duplicate, ...position } = storedOrThrow(await load_cjs_1.native.busReceipt(ticket));
    return { ...position, subscribers, ...(duplicate && { duplicate }) };
}
/** Where it is stored. If it is not, the error says whether it may be. */
function storedOrThrow(receipt) {
    const { position, duplicate, reason, unknown } = receipt;
    if (position !== undefined && position !== null) {
        return { ...position, ...(duplicate ? { duplicate: true } : {}) };
    }
    const stored = unknown ? 'unknown' : false;
    const what = unknown ? 'the message may be stored or not' : 'the message is not stored';
    const error = new errors_cjs_1.WSBrokerError('ERR_WSBROKER_BUS_LOST', `publish: ${what}: ${reason}`);
    throw Object.assign(error, { stored });
}
