/** Lets a number of tasks in at a time; the others wait in their order. */
export declare class Gate {
    #private;
    constructor(width: number);
    /** `undefined`: it is in at once. Each must {@link leave} when it is done. */
    enter(): Promise<void> | undefined;
    leave(): void;
}
