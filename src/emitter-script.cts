// The script of the instances, run by a Redis client of the application.

import { createHash } from 'node:crypto';
import type { RedisClientLike } from './types/redis-client-like.cjs';

/** A client that can run scripts. */
export type ScriptClient = Required<Pick<RedisClientLike, 'eval' | 'evalsha'>>;

/** Redis has stored nothing. */
export class NotStored extends Error {}

/** A call, until it has come to an end. */
interface Sent {
  readonly channel: string;
  readonly answer: Promise<unknown>;
  /** It has done what it was to do. */
  isDone: boolean;
}

/** What was sent to a Redis that turned out not to have the script. */
interface Resending {
  /** The calls that must not be repeated, once all have an answer. */
  readonly overtaken: Promise<ReadonlySet<Sent>>;
  /** All have come to an end. */
  readonly over: Promise<unknown>;
}

/** Runs the calls of each channel in their order, also where Redis has lost the script. */
export class ScriptRunner {
  readonly #client: ScriptClient;
  readonly #text: string;
  readonly #sha: string;
  /** In the order of the calls, with what settles when they have come to an end. */
  readonly #underWay = new Map<Sent, Promise<unknown>>();
  #resending: Resending | undefined;

  constructor(client: ScriptClient, text: string) {
    this.#client = client;
    this.#text = text;
    this.#sha = createHash('sha1').update(text).digest('hex');
  }

  /**
   * Resolves with the answer of the script. Rejects with the client's error, or with
   * {@link NotStored}.
   */
  async run(channel: string, keys: number, rest: Buffer[]): Promise<unknown> {
    // Nothing new overtakes what has to be sent again.
    while (this.#resending !== undefined) await this.#resending.over;
    const answer = (async () => this.#client.evalsha(this.#sha, keys, ...rest))();
    const sent: Sent = { channel, answer, isDone: false };
    const running = this.#end(sent, keys, rest);
    this.#underWay.set(sent, running);
    const ended = (): boolean => this.#underWay.delete(sent);
    running.then(ended, ended);
    return running;
  }

  async #end(sent: Sent, keys: number, rest: Buffer[]): Promise<unknown> {
    try {
      const answer = await sent.answer;
      sent.isDone = true;
      return answer;
    } catch (error) {
      if (!String((error as Error).message).startsWith('NOSCRIPT')) throw error;
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
  #resend(): Resending {
    const calls = [...this.#underWay.keys()];
    const answered = Promise.allSettled(calls.map(({ answer }) => answer));
    const over = Promise.allSettled(this.#underWay.values());
    // Before those that wait for it go on, so that nothing comes in between.
    void over.then(() => (this.#resending = undefined));
    return { overtaken: answered.then(() => overtaken(calls)), over };
  }
}

/** Those with a later call of their channel that is done: another process has loaded the script. */
function overtaken(calls: Sent[]): Set<Sent> {
  const done = new Set<string>();
  const behind = new Set<Sent>();
  for (const call of calls.reverse()) {
    if (call.isDone) done.add(call.channel);
    else if (done.has(call.channel)) behind.add(call);
  }
  return behind;
}
