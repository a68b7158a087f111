// Publishes and requests: what waits for its turn, and for its answer.
import { ClientError } from './error.mjs';
/** On their way at a time: as many as the server takes from a connection. */
const SENT = 64;
const WAITING = 1_000;
/** Milliseconds. The server knows an id for 5 minutes: later, a message could come twice. */
const REPEATABLE = 240_000;
export function keepCalls(connection) {
    /**
     * By id, in the order in which they were made. Those with a string are publishes, which may be
     * sent again.
     */
    const all = new Map();
    const take = (id) => {
        const call = all.get(id);
        all.delete(id);
        clearTimeout(call?.timer);
        return call;
    };
    /** What was ever sent may have been done, unless the server says something else. */
    const fail = (id, message, unsent = 'unknown', said) => {
        const call = take(id);
        call?.reject(new ClientError(said ?? (call.sentAt ? 'unknown' : unsent), message));
    };
    const send = () => {
        let sent = 0;
        for (const [id, call] of all) {
            if (connection.state !== 'open' || sent >= SENT)
                return;
            if (!call.sent && call.sentAt && Date.now() - call.sentAt > REPEATABLE) {
                fail(id, 'too late to repeat');
                continue;
            }
            sent++;
            if (call.sent)
                continue;
            call.sent = true;
            call.sentAt ||= Date.now();
            connection.send(call.text);
        }
    };
    // Behind what was subscribed before.
    const flush = () => queueMicrotask(send);
    return {
        make(id, text, timeout) {
            if (all.has(id))
                throw new ClientError('error', `${id} is in use`);
            if (all.size >= WAITING)
                throw new ClientError('limit', 'too many calls');
            return new Promise((resolve, reject) => {
                const timer = timeout && setTimeout(() => fail(id, `no answer in ${timeout} ms`, 'timeout'), timeout);
                all.set(id, { text, resolve, reject, timer, sent: false, sentAt: 0 });
                flush();
            });
        },
        flush,
        answered({ id, type, reason, message, data, position, duplicate }) {
            if (type === 'failed')
                fail(id, message ?? reason, reason, reason);
            else
                take(id)?.resolve((type === 'response' ? data : { position, duplicate }));
            flush();
        },
        down(refused) {
            for (const [id, call] of all) {
                if (call.sent && (refused || typeof id === 'number'))
                    fail(id, 'connection lost');
                call.sent = false;
            }
        },
        close() {
            for (const id of all.keys())
                fail(id, 'client closed', 'closed');
        },
    };
}
