import { WSBrokerError } from '../errors.cjs';
import type { NativeBusReceipt } from '../native.cjs';
import { native } from '../native/load.cjs';
import type { EmitterReceipt } from '../types/emitter-receipt.cjs';
import type { PublishReceipt } from '../types/history.cjs';

/** What becomes of a publish that Redis numbers. */
export async function receiptOf(ticket: number, subscribers: number): Promise<PublishReceipt> {
  const { duplicate, ...position } = storedOrThrow(await native.busReceipt(ticket));
  return { ...position, subscribers, ...(duplicate && { duplicate }) };
}

/** Where it is stored. If it is not, the error says whether it may be. */
export function storedOrThrow(receipt: NativeBusReceipt): EmitterReceipt {
  const { position, duplicate, reason, unknown } = receipt;
  if (position !== undefined && position !== null) {
    return { ...position, ...(duplicate ? { duplicate: true } : {}) };
  }
  const stored = unknown ? ('unknown' as const) : false;
  const what = unknown ? 'the message may be stored or not' : 'the message is not stored';
  const error = new WSBrokerError('ERR_WSBROKER_BUS_LOST', `publish: ${what}: ${reason}`);
  throw Object.assign(error, { stored });
}
