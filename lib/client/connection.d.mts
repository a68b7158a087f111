import { type Backoff } from './checks.mjs';
import type { Listeners } from './listeners.mjs';
import type { ClientOptions, ClientState } from './types.mjs';
export interface Connection {
    readonly state: ClientState;
    /** Sends a control message. Only while the state is `open`. */
    send(text: string): void;
    /** The network is back, or the page is seen again: no reason to wait, and some to doubt. */
    wake(): void;
    close(): void;
}
/**
 * @param welcomed The server is ready: everything may be sent
 * @param received Whatever comes after the welcome
 * @param down Nothing can be sent now. `refused`: because of something that was sent
 */
export declare function openConnection(url: string, token: ClientOptions['token'], backoff: Backoff, tellListeners: Listeners['tell'], welcomed: () => void, received: (data: string | ArrayBuffer) => void, down: (refused: boolean) => void): Connection;
/** 32 hexadecimal digits that nobody can guess. */
export declare function randomId(): string;
