"use strict";
// The script of the instances, run by a Redis client of the application.
Object.defineProperty(exports, "__esModule", { value: true });
exports.ScriptRunner = exports.NotStored = void 0;
const node_crypto_1 = require("node:crypto");
/** Redis has stored nothing. */
class NotStored extends Error {
}
exports.NotStored = NotStored;
/** Runs the calls of each channel in their order, also where Redis has lost the script. */
class ScriptRunner {
    #client;
    #text;
    #sha;
    /** In the order of the calls, with what settles when they have come to an end. */
    #underWay = new Map();
    #resending;
    constructor(client, text) {
        this.#client = client;
        this.#text = text;
        this.#sha = (0, node_crypto_1.createHash)('sha1').update(text).digest('hex');
    }
    /**
     * Resolves with the answer of the script. Rejects with the client's error, or with
     * {@link NotStored}.
     */
    async run(channel, keys, rest) {
        // Nothing new overtakes what has to be sent again.
        while (this.#resending !== undefined)
            await this.#resending.over;
        const answer = (async () => this.#client.evalsha(this.#sha, keys, ...rest))();
        const sent = { channel, answer, isDone: false };
        const running = this.#end(sent, keys, rest);
        this.#underWay.set(sent, running);
        const ended = () => this.#underWay.delete(sent);
        running.then(ended, ended);
        return running;
    }
    async #end(sent, keys, rest) {
        try {
            const answer = await sent.answer;
            sent.isDone = true;
            return answer;
        }
        catch (error) {
            if (!String(error.message).startsWith('NOSCRIPT'))
                throw error;
        }
        this.#resending ??= this.#resend();
        if ((await this.#resending.overtaken).has(sent)) {
            throw new NotStored('Redis had lost the script, and something newer of the channel was stored');
        }
        return this.#client.eval(this.#text, keys, ...rest);
    }
    /**
     * Redis does not have the script yet, or no longer. All that was sent may get the same answer.
     */
    #resend() {
        const calls = [...this.#underWay.keys()];
        const answered = Promise.allSettled(calls.map(({ answer }) => answer));
        const over = Promise.allSettled(this.#underWay.values());
        // Before those that wait for it go on, so that nothing comes in between.
        void over.then(() => (this.#resending = undefined));
        return { overtaken: answered.then(() => overtaken(calls)), over };
    }
}
exports.ScriptRunner = ScriptRunner;
/** Those with a later call of their channel that is done: another process has loaded the script. */
function overtaken(calls) {
    const done = new Set();
    const behind = new Set();
    for (const call of calls.reverse()) {
        if (call.isDone)
            done.add(call.channel);
        else if (done.has(call.channel))
            behind.add(call);
    }
    return behind;
}
