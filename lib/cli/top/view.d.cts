import type { Interval } from './interval.cjs';
/** A line, and how it is to be shown. */
export interface Line {
    readonly text: string;
    readonly style: 'plain' | 'heading' | 'alarm';
}
/**
 * The whole view.
 *
 * @param url where the numbers come from
 * @param trouble why the last scrape failed, if it did
 */
export declare function view(interval: Interval, url: string, trouble?: string): Line[];
