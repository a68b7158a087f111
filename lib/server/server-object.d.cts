import type { NativeRedis } from '../native.cjs';
import { type CheckedTlsOptions } from '../options/tls.cjs';
import type { Server } from '../types/server.cjs';
import type { InnerServer } from './http-server.cjs';
/** What a server object is made of. */
export interface ServerParts {
    /** The addon's number of its listener. */
    readonly listener: number;
    readonly location: {
        readonly address: string;
        readonly port: number;
        readonly url: string;
    };
    /** The application's HTTP server behind it. */
    readonly inner: InnerServer | undefined;
    readonly tls: CheckedTlsOptions | undefined;
    /** The application's: aborting it closes the server. */
    readonly signal: AbortSignal | undefined;
    /** Called when the bus uses other settings. */
    readonly busReloaded: (redis: NativeRedis) => void;
}
/** The object that `start` resolves to. From now on the server counts as listening. */
export declare function createServer({ listener, location, signal, ...parts }: ServerParts): Server;
