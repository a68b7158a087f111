// The channels: where each of them is, and how it goes on after a reconnect.
import { ClientError } from './error.mjs';
/**
 * Channels in one message, and how many characters their names have before the last: the server
 * takes 64 KiB, or its `maxPayload`.
 */
const NAMES = 100;
const CHARACTERS = 8_000;
/** Channels that the server has been asked for and has not answered. */
const UNANSWERED = 500;
/** Messages that wait for a state. */
const WAITING = 10_000;
export function keepSubscriptions(connection, { call, tell }, backoff) {
    const all = new Map();
    // What follows is about the connection that there is now.
    /** Those that the server is to be asked for, and those that it was asked for. */
    const wanted = new Set();
    const asked = new Set();
    /** Those whose `unsubscribed` has not come. */
    const leaving = new Set();
    let scheduled = false;
    /** What is asked in one go is sent in as few messages as possible. */
    const schedule = () => {
        if (!scheduled)
            queueMicrotask(flush);
        scheduled = true;
    };
    const flush = () => {
        scheduled = false;
        if (connection.state !== 'open')
            return;
        let items = [];
        let characters = 0;
        const send = () => {
            if (items.length)
                connection.send(`{"type":"subscribe","channels":[${items}]}`);
            items = [];
            characters = 0;
        };
        for (const channel of wanted) {
            if (asked.size >= UNANSWERED)
                break;
            wanted.delete(channel);
            asked.add(channel);
            const { at, since } = all.get(channel);
            const item = JSON.stringify({ channel, since: since === 'latest' ? since : (at ?? since) });
            characters += item.length;
            if (items.push(item) >= NAMES || characters > CHARACTERS)
                send();
        }
        send();
    };
    const want = (channel) => {
        // What is being left is asked for again when the server has answered.
        if (leaving.has(channel))
            return;
        wanted.add(channel);
        schedule();
    };
    const leave = (channel) => {
        asked.delete(channel);
        leaving.add(channel);
        connection.send(JSON.stringify({ type: 'unsubscribe', channels: [channel] }));
    };
    const end = (entry, reason) => {
        const { channel, onEnd } = entry;
        entry.ended = true;
        all.delete(channel);
        wanted.delete(channel);
        clearTimeout(entry.timer);
        entry.abort?.abort();
        if (!reason)
            return;
        if (onEnd)
            call(onEnd, reason);
        else
            tell('error', new Error(`${channel}: ${reason}`));
    };
    const remove = (channel) => {
        const entry = all.get(channel);
        if (!entry)
            return;
        end(entry);
        if (entry.on || asked.has(channel))
            leave(channel);
    };
    /** The entry that an answer of the server is about. */
    const answered = (channel) => {
        if (!asked.delete(channel))
            return undefined;
        schedule();
        return all.get(channel);
    };
    /** Something is gone, or this is the start. */
    const lost = (entry, position, had) => {
        entry.at = position;
        if (had)
            call(entry.onLost, { channel: entry.channel, position });
        if (!entry.ended)
            load(entry);
    };
    /** Reads the state anew. What has come until now is in it. */
    const load = (entry) => {
        if (!entry.getState)
            return;
        entry.from = entry.at;
        entry.waiting = [];
        // If one is being read, it is too old. The next one begins when that has come to an end, so
        // that an old state never comes after a new one.
        if (entry.abort)
            entry.abort.abort();
        else
            void read(entry);
    };
    const read = async (entry) => {
        const { channel, getState, onMessage } = entry;
        for (let failures = 0; !entry.ended;) {
            const { signal } = (entry.abort = new AbortController());
            try {
                await getState({ channel, position: entry.from, signal });
                if (!signal.aborted)
                    break;
            }
            catch (error) {
                if (signal.aborted)
                    continue;
                tell('error', error);
                let timer;
                await new Promise((resolve) => {
                    timer = setTimeout(resolve, backoff(failures++));
                    signal.onabort = resolve;
                });
                clearTimeout(timer);
            }
        }
        entry.abort = undefined;
        for (const message of entry.waiting)
            if (!entry.ended)
                call(onMessage, message);
        entry.waiting = undefined;
    };
    return {
        add(channel, options) {
            if (all.has(channel))
                throw new ClientError('error', `${channel} is in use`);
            const { since } = options;
            const entry = {
                ...options,
                channel,
                at: typeof since === 'object' ? since : undefined,
                failures: 0,
            };
            all.set(channel, entry);
            want(channel);
            return {
                channel,
                get position() {
                    return entry.waiting ? undefined : entry.at;
                },
                unsubscribe() {
                    if (!entry.ended)
                        remove(channel);
                },
            };
        },
        remove,
        close() {
            for (const entry of all.values())
                end(entry);
        },
        welcomed() {
            for (const channel of all.keys())
                want(channel);
        },
        down() {
            asked.clear();
            leaving.clear();
            for (const entry of all.values()) {
                entry.on = false;
                clearTimeout(entry.timer);
            }
        },
        frame(message) {
            const { channel, offset } = message;
            const entry = all.get(channel);
            // What is on its way when a channel is left belongs to nobody.
            if (!entry?.on || offset <= entry.at.offset)
                return;
            entry.at = { offset, epoch: entry.at.epoch };
            if (!entry.waiting)
                call(entry.onMessage, message);
            else if (entry.waiting.push(message) > WAITING)
                load(entry);
        },
        control: {
            subscribed({ channel, recovered, position }) {
                const entry = answered(channel);
                if (!entry)
                    return;
                const { at, since } = entry;
                entry.on = true;
                entry.failures = 0;
                // With 'latest' the newest message may be one that the client has.
                const has = at?.epoch === position.epoch && at.offset >= position.offset;
                if (since === 'latest')
                    entry.at = has ? at : position;
                else if (!has || !recovered)
                    lost(entry, position, at);
            },
            lost({ channel, position }) {
                const entry = all.get(channel);
                if (entry?.on)
                    lost(entry, position, true);
            },
            refused({ channel, reason }) {
                const entry = answered(channel);
                if (!entry)
                    return;
                if (reason === 'subscribed')
                    leave(channel);
                else if (reason !== 'unavailable')
                    end(entry, reason);
                else
                    entry.timer = setTimeout(want, backoff(entry.failures++), channel);
            },
            unsubscribed({ channel, reason }) {
                const entry = all.get(channel);
                if (leaving.has(channel)) {
                    // With a reason it is not yet the answer.
                    if (reason)
                        return;
                    leaving.delete(channel);
                    if (entry)
                        want(channel);
                }
                else if (entry?.on)
                    end(entry, reason);
            },
        },
    };
}
