/** One series: its labels and its value. */
export interface Series {
    readonly labels: Readonly<Record<string, string>>;
    readonly value: number;
}
/** All series, by name. */
export type Exposition = ReadonlyMap<string, readonly Series[]>;
/** Lines that are no series are passed over. */
export declare function parseExposition(text: string): Exposition;
