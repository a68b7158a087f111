import type { IWebSocket, IWebSocketLogger } from '../types.cjs';
/**
 * Closes a socket. The close event may run before this returns. A socket that is gone may throw.
 */
export declare function closeSocket(socket: IWebSocket, [code, reason]: readonly [number, string], log: IWebSocketLogger): void;
/** A delay for a timer: one that is longer than timers allow would end at once. */
export declare function delay(ms: number): number;
