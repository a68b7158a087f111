import type { PublishReceipt } from '../types/history.cjs';
/** What becomes of a publish that Redis numbers. */
export declare function receiptOf(ticket: number, subscribers: number): Promise<PublishReceipt>;
