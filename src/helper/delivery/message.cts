/** A message on its way to one or many clients. Its text is made once, when it is first needed. */
export class Message {
  readonly event: string;
  readonly #data: unknown;
  #frame: string | undefined;

  constructor(event: string, data: unknown) {
    this.event = event;
    this.#data = data;
  }

  get data(): unknown {
    return this.#data;
  }

  /** @throws {TypeError} the data cannot be serialised */
  get frame(): string {
    return (this.#frame ??= JSON.stringify({ event: this.event, data: this.#data }));
  }

  /**
   * Bytes of the text. What cannot be text is the transformer's to make something of: counted as
   * one small message.
   */
  get size(): number {
    try {
      return Buffer.byteLength(this.frame);
    } catch {
      return 1024;
    }
  }

  /** From the text that another helper has made. */
  static from(frame: string): Message {
    const { event, data } = JSON.parse(frame) as { event: string; data?: unknown };
    const message = new Message(event, data);
    message.#frame = frame;
    return message;
  }
}
