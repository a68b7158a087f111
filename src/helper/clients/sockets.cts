import { MAX_DURATION } from '../../options/checks.cjs';
import type { IWebSocket, IWebSocketLogger } from '../types.cjs';

/** Closes; the close event may run before it returns, and a socket that is gone may throw. */
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

/** A delay as timers take it: one that is longer than they can would end at once. */
export function delay(ms: number): number {
  return ms > MAX_DURATION ? MAX_DURATION : ms;
}
