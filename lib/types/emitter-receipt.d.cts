/** What became of a publish of an emitter. Empty for a channel without `history`. */
export interface EmitterReceipt {
    /** The number of the message in the channel. */
    readonly offset?: number;
    /** The epoch in which it counts. */
    readonly epoch?: string;
    /** It was published before with the same `id`; nothing was published now. */
    readonly duplicate?: true;
}
