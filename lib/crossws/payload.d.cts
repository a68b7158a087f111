import type { Data } from '../types/messages.cjs';
/** What a message of crossws is on the wire. Objects become JSON, and nothing becomes ''. */
export declare function payloadOf(data: unknown): Data;
