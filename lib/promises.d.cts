/** Whether the promise resolved within that many milliseconds; a rejection passes through, one that comes later is let go. */
export declare function within(timeout: number, promise: Promise<unknown>): Promise<boolean>;
