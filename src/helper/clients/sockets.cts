import { MAX_DURATION } from '../../options/checks.cjs';
import type { IWebSocket, IWebSocketLogger } from '../types.cjs';

/**
 * Closes a socket. The close event may run before this returns. A socket that is gone may throw.
 */
export function closeSocket(
  socket: IWebSocket,
  [code, reason]: readonly [number, string],
  log: IWebSocketLogger,
): void {
  try {
    socket.close(code, reason);
  } catch (error) {
    log.error(`closing a socket with ${code} failed`, error);
  }
}

/** A delay for a timer: one that is longer than timers allow would end at once. */
export function delay(ms: number): number {
  return ms > MAX_DURATION ? MAX_DURATION : ms;
}
