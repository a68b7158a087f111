/** Things that must end within one and the same time. One timer serves all of them, and does not keep the process alive. */
export declare class Deadlines {
    #private;
    /** `limit` in ms is the most; it may be half of it. */
    constructor(limit: number);
    /** `late` is called, once, unless the function that is returned is called in time. */
    begin(late: () => void): () => void;
}
