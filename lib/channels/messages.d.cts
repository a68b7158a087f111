import type { Position, Since } from '../types/history.cjs';
export declare const SUBPROTOCOL = "wsbroker.v1";
/** A message of a client. */
export type ClientMessage = {
    readonly type: 'hello';
    readonly client: string;
    readonly token: string | undefined;
} | {
    readonly type: 'token';
    readonly token: string;
} | {
    readonly type: 'subscribe';
    readonly channels: readonly WantedChannel[];
} | {
    readonly type: 'unsubscribe';
    readonly channels: readonly string[];
} | PublishMessage | RequestMessage;
export interface WantedChannel {
    readonly channel: string;
    readonly since: Since | undefined;
}
export interface PublishMessage {
    readonly type: 'publish';
    readonly id: string;
    readonly channel: string;
    readonly data: string | Buffer;
}
export interface RequestMessage {
    readonly type: 'request';
    readonly id: string | number;
    readonly data: unknown;
}
/** Why a channel is not subscribed. */
export type RefusalReason = 'forbidden' | 'limit' | 'unavailable' | 'subscribed';
/** Why a publish or a request failed. */
export type FailureReason = 'forbidden' | 'limit' | 'unavailable' | 'unknown' | 'error';
/** A message of the server, but for those that Rust writes. */
export type ServerMessage = {
    readonly type: 'welcome';
} | {
    readonly type: 'refused';
    readonly channel: string;
    readonly reason: RefusalReason;
} | {
    readonly type: 'unsubscribed';
    readonly channel: string;
    readonly reason?: 'forbidden';
} | {
    readonly type: 'lost';
    readonly channel: string;
    readonly position: Position;
} | {
    readonly type: 'published';
    readonly id: string;
    readonly position: Position;
    readonly duplicate: boolean;
} | {
    readonly type: 'failed';
    readonly id: string | number;
    readonly reason: FailureReason;
    readonly message?: string;
} | {
    readonly type: 'response';
    readonly id: string | number;
    readonly data: unknown;
} | {
    readonly type: 'message';
    readonly data: unknown;
};
/** What is wrong with a message. The connection is closed with 4400 and this reason. */
export declare class InvalidMessage extends Error {
}
/** @throws {InvalidMessage} */
export declare function readMessage(text: string): ClientMessage;
