/**
 * Deadlines of tasks that all have the same time limit. They share one timer, which does not keep
 * the process alive.
 */
export declare class Deadlines {
    #private;
    /**
     * @param limit the longest time, in milliseconds; the actual limit is between half of it and all
     * of it
     */
    constructor(limit: number);
    /** Calls `late`, once, unless the returned function is called in time. */
    begin(late: () => void): () => void;
}
