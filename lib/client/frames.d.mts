/** A frame of a channel. */
export interface ChannelFrame {
    channel: string;
    offset: number;
    data: string | Uint8Array;
}
/** A control message. Its other fields are what its type says; the server is trusted in that. */
export interface Control {
    type: string;
    [field: string]: any;
}
/** What to do with control messages, by type. */
export type ControlHandlers = Readonly<Record<string, (message: Control) => void>>;
/** A frame, a control message, or undefined for what is neither. */
export declare function parse(data: string | ArrayBuffer): ChannelFrame | Control | undefined;
