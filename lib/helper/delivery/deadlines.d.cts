/**
 * Things that must all end within the same time limit. One timer serves all of them, and does not
 * keep the process alive.
 */
export declare class Deadlines {
    #private;
    /** `limit` is the longest time, in ms; the actual time is between half of it and all of it. */
    constructor(limit: number);
    /** Calls `late`, once, unless the returned function is called in time. */
    begin(late: () => void): () => void;
}
