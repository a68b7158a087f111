import type { IWebSocket, IWebSocketLogger } from '../types.cjs';
/** Closes; the close event may run before it returns, and a socket that is gone may throw. */
export declare function closeSocket(socket: IWebSocket, [code, reason]: readonly [number, string], log: IWebSocketLogger): void;
/** A delay as timers take it: one that is longer than they can would end at once. */
export declare function delay(ms: number): number;
