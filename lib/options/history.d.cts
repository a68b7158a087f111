import type { NativeHistoryRule } from '../native.cjs';
import type { HistoryQuery, Since } from '../types/history.cjs';
/** The option `history`. */
export declare function checkHistory(call: string, value: unknown): NativeHistoryRule[] | undefined;
/** @returns what it is, the offset and the epoch, as the addon takes them */
export declare function checkSince(call: string, since: Since): [kind: number, offset: number, epoch: string];
/** @returns the options of `recover`, checked */
export declare function checkRecover(call: string, options: unknown): boolean;
/**
 * @returns the offset and epoch of `since` (-1: there is no `since`), the limit and the direction
 */
export declare function checkQuery(call: string, query: HistoryQuery | undefined): [offset: number, epoch: string, limit: number, reverse: boolean];
/** @returns the offset; -1: all */
export declare function checkDelete(call: string, options: unknown): number;
