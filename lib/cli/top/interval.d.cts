import type { Exposition } from './exposition.cjs';
/** Two scrapes, and what has happened between them. */
export declare class Interval {
    readonly before: Exposition;
    readonly now: Exposition;
    readonly seconds: number;
    /**
     * @param before an earlier scrape
     * @param now the last scrape
     * @param seconds the time between them
     */
    constructor(before: Exposition, now: Exposition, seconds: number);
    /** The sum of the series with these labels now; `undefined` if there is none. */
    value(name: string, labels?: Readonly<Record<string, string>>): number | undefined;
    /** By how much it grows in a second. After a restart, which begins at zero, since then. */
    rate(name: string, labels?: Readonly<Record<string, string>>): number | undefined;
    /** By how much it has grown. */
    growth(name: string, labels?: Readonly<Record<string, string>>): number | undefined;
    /** The values of a label, in the order in which they come. */
    values(name: string, label: string): string[];
    /**
     * The value that this part of those between the two scrapes did not exceed, as
     * `histogram_quantile` estimates it. `undefined`: there were none.
     */
    quantile(part: number, name: string, labels?: Readonly<Record<string, string>>): number | undefined;
}
