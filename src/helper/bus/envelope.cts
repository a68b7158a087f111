import type { IRedisSocketMessage, TWebSocketMessageType } from '../types.cjs';

// The format of messages on Redis: docs/design/helper.md. The order of the keys is part of it.

/** An envelope that another process has written. Its other contents are not checked. */
export interface ReceivedEnvelope {
  readonly serverId: string;
  readonly type: unknown;
  readonly target: unknown;
  readonly event: string;
  readonly data: unknown;
  readonly exclude: unknown;
}

/** @throws {TypeError} the data cannot be serialized */
export function makeEnvelope(
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

/**
 * An envelope of a message whose text, `{"event":…,"data":…}`, exists already: its members are the
 * last two of the envelope, so nothing is serialized twice.
 */
export function envelopeAround(
  frame: string,
  serverId: string,
  type: TWebSocketMessageType,
  target: string | undefined,
): string {
  const to = target === undefined ? '' : `"target":${JSON.stringify(target)},`;
  return `{"serverId":${JSON.stringify(serverId)},"type":"${type}",${to}${frame.slice(1)}`;
}

/** Undefined if the text is not an envelope. */
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
