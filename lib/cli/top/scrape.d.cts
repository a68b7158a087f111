import { type Exposition } from './exposition.cjs';
/** One reading of the numbers. */
export interface Scrape {
    readonly series: Exposition;
    /** When the response came, in milliseconds of a clock that does not go back. */
    readonly at: number;
}
/**
 * Reads the numbers once.
 *
 * @throws {Error} there is no answer, or it is another one
 */
export declare function scrape(url: URL): Promise<Scrape>;
