import type { NativeIdentity } from '../native.cjs';
import { type HttpTarget } from '../options/http.cjs';
/** Where the core forwards requests, and how they are known. */
export interface InnerServer {
    /** As the addon takes it. */
    readonly forward: string;
    readonly identity: NativeIdentity | undefined;
    /** To be called when the core has ended: what is still connected is cut. */
    close(): Promise<void>;
}
/** @throws {RangeError} the server listens already */
export declare function openInnerServer(target: HttpTarget): Promise<InnerServer>;
