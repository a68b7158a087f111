/** A message to one or many clients. It is serialized once, when its text is first needed. */
export declare class Message {
    #private;
    readonly event: string;
    constructor(event: string, data: unknown);
    get data(): unknown;
    /** @throws {TypeError} the data cannot be serialized */
    get frame(): string;
    /**
     * The bytes of its text. Data that cannot be serialized may still be transformed, and counts as a
     * small message.
     */
    get size(): number;
    /** A message whose text another helper has made. */
    static from(frame: string): Message;
}
