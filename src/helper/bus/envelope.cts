import type { IRedisSocketMessage, TWebSocketMessageType } from '../types.cjs';

// Messages between instances, as they stand on Redis: section 12 of the specification. The order of
// the keys is part of it.

/** An envelope written by another process: its contents are not checked further. */
export interface ReceivedEnvelope {
  readonly serverId: string;
  readonly type: unknown;
  readonly target: unknown;
  readonly event: string;
  readonly data: unknown;
  readonly exclude: unknown;
}

/** @throws {TypeError} the data cannot be serialised */
export function envelope(
  serverId: string,
  type: TWebSocketMessageType,
  {
    target,
    event,
    data,
    exclude,
  }: { target?: string | undefined; event: string; data: unknown; exclude?: string[] | undefined },
): string {
  return JSON.stringify({ serverId, type, target, event, data, exclude } satisfies {
    [K in keyof IRedisSocketMessage]: unknown;
  });
}

/** Undefined if it is not an envelope. */
export function parseEnvelope(text: string): ReceivedEnvelope | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { serverId, type, target, event, data, exclude } = (value ?? {}) as Record<
    keyof ReceivedEnvelope,
    unknown
  >;
  if (typeof serverId !== 'string' || typeof event !== 'string') return undefined;
  return { serverId, type, target, event, data, exclude };
}
