/** A message to one or many clients. It is serialized once, when its text is first needed. */
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

  /** @throws {TypeError} the data cannot be serialized */
  get frame(): string {
    return (this.#frame ??= JSON.stringify({ event: this.event, data: this.#data }));
  }

  /**
   * The bytes of its text. Data that cannot be serialized may still be transformed, and counts as a
   * small message.
   */
  get size(): number {
    try {
      return Buffer.byteLength(this.frame);
    } catch {
      return 1024;
    }
  }

  /** A message whose text another helper has made. */
  static from(frame: string): Message {
    const { event, data } = JSON.parse(frame) as { event: string; data?: unknown };
    const message = new Message(event, data);
    message.#frame = frame;
    return message;
  }
}
