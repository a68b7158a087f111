import { WSBrokerError } from '../errors.cjs';
/** For everything that contradicts an earlier call. */
export declare const START_OVER = "to start over, for instance under \"bun --hot\", call \"await shutdown()\" first";
export declare const OPTION_HINTS: Readonly<Record<string, string>>;
/** As {@link OPTION_HINTS}, for helpers. */
export declare const HELPER_OPTION_HINTS: Readonly<Record<string, string>>;
/** A valid `bind`, with the port if a port was given. */
export declare function exampleBind(given: unknown): string;
/** The addon's error about an address, with what to do about it. */
export declare function explainBindError(error: unknown, bind: string, reusePort: boolean): unknown;
/** The same error, with more to say. */
export declare function withAdvice(error: WSBrokerError, advice: string): WSBrokerError;
/** A process-wide option has another value than in an earlier `start`. */
export declare function conflictWithEarlier(name: string, before: unknown, now: unknown): WSBrokerError;
