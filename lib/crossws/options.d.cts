import type { AdapterOptions } from 'crossws' with { 'resolution-mode': 'import' };
import type { ErrorContext } from '../types/worker-interface.cjs';
/** Options of {@link crosswsWorker}. */
export interface CrosswsOptions extends Pick<AdapterOptions, 'hooks' | 'resolve' | 'getNamespace' | 'handleProtocols'> {
    /**
     * The `fetch` of an application of h3, Nitro or another library that routes requests to hooks. It
     * is asked for each connection; the hooks are those of `defineWebSocketHandler` where the request
     * arrives. It may also answer with `{ crossws, headers }`: hooks, and headers for the 101. Any
     * other answer that is not a success refuses the connection, as it is. Without hooks there and in
     * `hooks`, the client gets 404.
     */
    readonly fetch?: (request: Request) => unknown;
    /**
     * Called for every error of a hook for which there is no `error` hook, and for errors of that.
     * Without it, they are written to stderr.
     */
    readonly onError?: (error: unknown, context: ErrorContext) => unknown;
}
/** @throws {TypeError | WSBrokerError} an option is wrong; the message names it */
export declare function checkCrosswsOptions(options: CrosswsOptions): CrosswsOptions;
