/** A message on its way to one or many clients. Its text is made once, when it is first needed. */
export declare class Message {
    #private;
    readonly event: string;
    constructor(event: string, data: unknown);
    get data(): unknown;
    /** @throws {TypeError} the data cannot be serialised */
    get frame(): string;
    /**
     * Bytes of the text. What cannot be text is the transformer's to make something of: counted as
     * one small message.
     */
    get size(): number;
    /** From the text that another helper has made. */
    static from(frame: string): Message;
}
