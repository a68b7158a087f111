/** `1234567` as `1,234,567`; small ones with a digit behind the point. */
export declare function formatCount(value: number | undefined): string;
/** `1536` as `1.5 KiB`. */
export declare function formatBytes(value: number | undefined): string;
/** Seconds as `250 us`, `12 ms` or `1.5 s`. */
export declare function formatSeconds(value: number | undefined): string;
/** Seconds as `45 s`, `12 min`, `5 h 20 min` or `3 d 4 h`. */
export declare function formatAge(value: number | undefined): string;
/** A part of a whole as `12 %`. */
export declare function formatPart(value: number | undefined): string;
