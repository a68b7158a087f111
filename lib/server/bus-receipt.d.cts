import type { NativeBusReceipt } from '../native.cjs';
import type { EmitterReceipt } from '../types/emitter-receipt.cjs';
import type { PublishReceipt } from '../types/history.cjs';
/** What becomes of a publish that Redis numbers. */
export declare function receiptOf(ticket: number, subscribers: number): Promise<PublishReceipt>;
/** Where it is stored. If it is not, the error says whether it may be. */
export declare function storedOrThrow(receipt: NativeBusReceipt): EmitterReceipt;
