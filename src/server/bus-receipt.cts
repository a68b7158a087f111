import { WSBrokerError } from '../errors.cjs';
import { native } from '../native/load.cjs';
import type { PublishReceipt } from '../types/history.cjs';

/** What becomes of a publish that Redis numbers. */
export async function receiptOf(ticket: number, subscribers: number): Promise<PublishReceipt> {
  const { position, duplicate, reason, unknown } = await native.busReceipt(ticket);
  if (position !== undefined && position !== null) {
    return { ...position, subscribers, ...(duplicate ? { duplicate: true } : {}) };
  }
  const stored = unknown ? ('unknown' as const) : false;
  const what = unknown ? 'the message may be stored or not' : 'the message is not stored';
  const error = new WSBrokerError('ERR_WSBROKER_BUS_LOST', `publish: ${what}: ${reason}`);
  throw Object.assign(error, { stored });
}
