import { WSBrokerError } from '../errors.cjs';
/** For whatever contradicts an earlier call. */
export declare const START_OVER = "to start over, for instance under \"bun --hot\", call \"await shutdown()\" first";
export declare const OPTION_HINTS: Readonly<Record<string, string>>;
/** A form of `bind` that would do, with the port if that is what came. */
export declare function bindForm(given: unknown): string;
/** What the addon says about an address, and what to do. */
export declare function addressFailed(error: unknown, bind: string, reusePort: boolean): unknown;
/** The same error with more to say. */
export declare function also(error: WSBrokerError, advice: string): WSBrokerError;
/** @param path as it was given, without a file */
export declare function noWorkerFile(path: string): WSBrokerError;
