import type { Buffer } from '../ambient.cjs';
import type { Position, Since } from '../types/history.cjs';
import type { Data } from '../types/messages.cjs';
import type { HandlerName, WorkerInterface } from '../types/worker-interface.cjs';
/** What {@link ChannelsOptions.authorize} is told besides the socket and the channel. */
export interface AuthorizeRequest {
    /** What the client has sent as its token: at most 8 KiB, chosen by the client, to be verified. */
    readonly token: string | undefined;
    /** What it wants to do. */
    readonly action: 'subscribe' | 'publish';
    /** Where it wants to begin, if it says so. Only to subscribe. */
    readonly since: Since | undefined;
}
/** What a client may do. */
export interface ChannelGrant {
    /**
     * The place from which on it may see the channel, such as the position when its user joined. A
     * client that asks for something before does not recover. A client that does not say where to
     * begin begins here. `'now'`: it sees nothing of the past, even after a reconnect. A position of
     * an earlier epoch hides nothing, since all that the channel has is newer.
     *
     * @default everything that is kept, and clients that do not say where to begin begin now
     */
    readonly since?: Position | 'now' | undefined;
    /**
     * How many messages are replayed to it at most, 0 to 2^31-1. If it has missed more, it does not
     * recover. @default `maxReplay` of the channel's history, which is always the limit
     */
    readonly maxReplay?: number | undefined;
    /**
     * Who publishes, as the application knows it, such as the id of a user. With it a message that is
     * published again over another connection of this sender is a duplicate.
     *
     * @default the client object, which is known by a secret of its own
     */
    readonly sender?: string | undefined;
}
/** What {@link ChannelsOptions.handleRequest} is told besides the socket and the data. */
export interface RequestContext {
    /** The client's token, as in {@link AuthorizeRequest}. */
    readonly token: string | undefined;
}
/** What {@link ChannelsOptions.handlePublish} is told besides the socket, channel and data. */
export interface PublishContext extends RequestContext {
    /** The client's id of the message, the same if it is sent again. 1 to 64 ASCII characters. */
    readonly id: string;
    /** {@link ChannelGrant.sender} */
    readonly sender: string | undefined;
}
/** Where an error of a handler came from. */
export interface ChannelsErrorContext {
    /** The handler's name. */
    readonly handler: HandlerName | 'authorize' | 'handleRequest' | 'handlePublish';
    /** The socket, or `undefined` for `handleStart` and `handleStop`. */
    readonly socketId: number | undefined;
}
/**
 * Options of {@link serveChannels}: what clients may do, and the handlers of a worker module.
 *
 * `handleOpen`, `handleClose` and `handleDrain` are called for every connection.
 * `handleTextMessage`, `handleBinaryMessage` and `handleLost` are called only for connections that
 * have not agreed on the subprotocol `wsbroker.v1`.
 */
export interface ChannelsOptions extends Omit<WorkerInterface, 'onError'> {
    /**
     * Whether a client may subscribe to a channel, or publish to it. It is called each time, at most
     * 8 times at once for a socket. If it throws, rejects, takes longer than `timeout`, or returns
     * anything else, the client is refused, and the error is reported.
     */
    authorize(socketId: number, channel: string, request: AuthorizeRequest): boolean | ChannelGrant | PromiseLike<boolean | ChannelGrant>;
    /**
     * Answers a request of a client. What it returns must be a value for `JSON.stringify`; nothing is
     * `null`. If it throws a {@link RequestError}, the client is told its message; of any other error
     * only that there was one.
     *
     * @param data any JSON value, chosen by the client
     */
    handleRequest?(socketId: number, data: unknown, context: RequestContext): unknown;
    /**
     * Called before the message of a client is published, and after `authorize`. It returns nothing
     * or `true` to publish it as it is, other data to publish that instead, and `false` to refuse it.
     * It is called again for a message that is sent again.
     *
     * @param data as the client sent it: a string, or a `Buffer` for bytes
     */
    handlePublish?(socketId: number, channel: string, data: string | Buffer, context: PublishContext): boolean | Data | undefined | void | PromiseLike<boolean | Data | undefined | void>;
    /** As in {@link WorkerInterface}, also for the handlers here. */
    onError?(error: unknown, context: ChannelsErrorContext): unknown;
    /**
     * How long `authorize`, `handleRequest` and `handlePublish` may take, in milliseconds, 1 to
     * 2^31-1. @default 10000
     */
    readonly timeout?: number | undefined;
    /** How much is replayed. @default the defaults of its properties */
    readonly replayRate?: ReplayRate | undefined;
}
/**
 * Bytes of replays a second. One replay may exceed the rate; the next one then waits until the rate
 * is kept again, and is refused (`unavailable`) if that takes more than 10 s.
 */
export interface ReplayRate {
    /** To one socket, 1 to 2^31-1. @default 8 MiB */
    readonly socket?: number | undefined;
    /**
     * To all sockets of one address (of IPv6: of one /64), 1 to 2^31-1, in the whole process. Raise
     * it if your clients come through a proxy whose `trustProxy` is not set. @default 256 MiB
     */
    readonly address?: number | undefined;
}
