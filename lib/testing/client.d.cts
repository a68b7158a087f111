import { WSBrokerError } from '../errors.cjs';
import type { Data } from '../types/messages.cjs';
/** Headers of a response, by name in lower case. */
export type TestHeaders = Readonly<Record<string, string | string[] | undefined>>;
/** How a connection ended. */
export interface TestClose {
    /** 1005: without a code. 1006: without a close frame. */
    readonly code: number;
    readonly reason: string;
}
/** What a client needs of the class `WebSocket` of the package ws. */
export interface WsSocket {
    readonly protocol: string;
    readonly readyState: number;
    on(event: string, listener: (...args: never[]) => void): unknown;
    send(data: Data): void;
    close(code?: number, reason?: string): void;
    terminate(): void;
}
/** A client of a {@link TestServer}. Messages that nobody has taken yet are kept. */
export declare class TestClient {
    #private;
    /** The socket of the package ws, for everything else. */
    readonly socket: WsSocket;
    /** @internal */
    constructor(socket: WsSocket, headers: () => TestHeaders, messages: (string | Buffer)[], timeout: number);
    /** The subprotocol, or ''. */
    get protocol(): string;
    /** The headers of the 101 response, by name in lower case. On Bun there are none. */
    get headers(): TestHeaders;
    /** Messages that have come and were not taken. */
    get waiting(): readonly (string | Buffer)[];
    /** A string is sent as a text message, bytes as a binary message. */
    send(data: Data): void;
    /**
     * Takes the next message: a string, or a `Buffer` of a binary message.
     *
     * @throws {WSBrokerError} ERR_WSBROKER_TEST: none came within the timeout, or the connection was
     * closed and no message is left
     */
    next(): Promise<string | Buffer>;
    /**
     * Takes the next message and parses it.
     *
     * @throws {WSBrokerError} ERR_WSBROKER_TEST: as {@link next}, or it is not JSON
     */
    nextJson(): Promise<unknown>;
    /**
     * Takes messages until one is equal to `message`, or fulfills it, and returns that.
     *
     * @throws {WSBrokerError} ERR_WSBROKER_TEST: as {@link next}
     */
    nextMatching(message: string | ((message: string | Buffer) => boolean)): Promise<string | Buffer>;
    /**
     * Starts the closing handshake, and resolves when the connection has ended.
     *
     * @throws {WSBrokerError} ERR_WSBROKER_TEST: that took longer than the timeout
     */
    close(code?: number, reason?: string): Promise<TestClose>;
    /**
     * Resolves when the connection has ended.
     *
     * @throws {WSBrokerError} ERR_WSBROKER_TEST: it did not end within the timeout
     */
    closed(): Promise<TestClose>;
    /** Cuts the connection without a closing handshake. */
    terminate(): void;
}
export declare function testError(message: string, cause?: unknown): WSBrokerError;
