// What the server sends, taken apart. docs/protocol.md has the words.

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
export function parse(data: string | ArrayBuffer): ChannelFrame | Control | undefined {
  try {
    if (typeof data === 'string' && data[0] === '{') {
      const message = JSON.parse(data);
      return typeof message.type === 'string' ? message : undefined;
    }
    const whole = typeof data === 'string' ? data : new Uint8Array(data);
    const end = (typeof whole === 'string' ? whole.indexOf('\n') : whole.indexOf(10)) + 1;
    const head = whole.slice(0, end);
    const [, offset, name] = /^(\d+) (.+)\n/.exec(typeof head === 'string' ? head : new TextDecoder().decode(head)) ?? [];
    return name ? { channel: decodeURIComponent(name), offset: Number(offset), data: whole.slice(end) } : undefined;
  } catch {
    // Not JSON, or a name that is not text, which nobody can have subscribed to.
    return undefined;
  }
}
