import type { Hooks } from 'crossws' with { 'resolution-mode': 'import' };
import { WSBrokerError } from '../errors.cjs';
import { isResponse } from '../fetch-response.cjs';
import { headerPairs, RESERVED_HEADERS } from '../options/headers.cjs';
import type { OpenRequest, RejectVerdict } from '../types/worker-interface.cjs';
import type { CrosswsOptions } from './options.cjs';

/** What became of an upgrade request. */
export type Upgrade =
  | {
      readonly kind: 'accepted';
      readonly context: Record<string, unknown>;
      readonly namespace: string;
      readonly protocol: string | undefined;
      readonly headers: readonly (readonly [string, string])[];
      readonly resolved: Partial<Hooks> | undefined;
    }
  | { readonly kind: 'refused'; readonly verdict: RejectVerdict };

/** A request with what servers of the same family add to it. */
export type UpgradeRequest = Request & {
  readonly context: Record<string, unknown>;
  /** The client's address. */
  readonly ip: string;
};

/** Under this symbol libraries attach hooks to a request. */
const HOOKS = Symbol.for('crossws.hooks');
/** Headers that the answer has anyway, or that say where its body ends. */
const OF_CONNECTION = new Set([...RESERVED_HEADERS, 'keep-alive']);

/** The request as the Fetch API has it; `undefined` if its Host header makes no URL. */
export function fetchRequest(open: OpenRequest): UpgradeRequest | undefined {
  const { headers } = open;
  // Encryption may have ended at a proxy.
  const secure = open.secure || headers['x-forwarded-proto'] === 'https';
  const url = `${secure ? 'https' : 'http'}://${headers['host'] ?? 'localhost'}${open.url}`;
  let request: Request;
  try {
    request = new Request(url, { headers });
  } catch {
    return undefined;
  }
  // Defined, not assigned: a runtime may have getters of these names. Libraries replace them.
  const shown = { enumerable: true, configurable: true, writable: true };
  return Object.defineProperties(request, {
    context: { value: {}, ...shown },
    ip: { value: open.ip, ...shown },
  }) as UpgradeRequest;
}

/**
 * Asks the hooks.
 *
 * @throws what they throw, unless it is a Response or has one
 */
export async function upgrade(options: CrosswsOptions, request: UpgradeRequest): Promise<Upgrade> {
  const namespace = options.getNamespace?.(request) ?? new URL(request.url).pathname;
  const resolve = resolver(options);
  let resolved: Partial<Hooks> | undefined;
  let routeHeaders: HeadersInit;
  let answer: UpgradeAnswer | Response | undefined;
  try {
    const [all, one] = await Promise.all([
      options.hooks?.upgrade?.(request),
      resolve?.(request),
    ]);
    ({ hooks: resolved, headers: routeHeaders } = one ?? {});
    answer = ((await resolved?.upgrade?.(request)) || all || undefined) as typeof answer;
  } catch (error) {
    const thrown: unknown = Object(error).response ?? error;
    if (!isResponse(thrown)) throw error;
    answer = thrown;
  }
  if (isResponse(answer)) return { kind: 'refused', verdict: await refusal(answer) };
  if (answer?.handled) {
    throw new WSBrokerError(
      'ERR_WSBROKER_INVALID_VERDICT',
      'crosswsWorker: an upgrade hook returned "handled", but wsbroker has the socket; such ' +
        'requests belong to the HTTP server, with the options "http" and "forwardUpgrades" of start',
    );
  }
  const headers = merged(routeHeaders, answer?.headers);
  const protocol =
    answer?.protocol ||
    headers.get('sec-websocket-protocol') ||
    (await chosenProtocol(options, request));
  return {
    kind: 'accepted',
    context: Object.assign(request.context, answer?.context),
    namespace: answer?.namespace || namespace,
    protocol: protocol || undefined,
    headers: responseHeaders(headers),
    resolved,
  };
}

type UpgradeAnswer = Exclude<Awaited<ReturnType<Hooks['upgrade']>>, Response | void>;

async function chosenProtocol(
  { handleProtocols }: CrosswsOptions,
  request: Request,
): Promise<string | undefined> {
  if (handleProtocols === undefined) return undefined;
  const offered = offeredProtocols(request);
  if (offered.length === 0) return undefined;
  return (await handleProtocols(new Set(offered), request)) || undefined;
}

/** The subprotocols that the client offers. */
export function offeredProtocols(request: Request): string[] {
  const header = request.headers.get('sec-websocket-protocol') ?? '';
  return header
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
}

/** What `new Headers` takes. */
type HeadersInit = ConstructorParameters<typeof Headers>[0];

/** What a request leads to: hooks, and headers of the 101. */
interface Route {
  readonly hooks?: Partial<Hooks> | undefined;
  readonly headers?: HeadersInit;
}
type Router = (request: UpgradeRequest) => Promise<Route>;

function resolver({ resolve, fetch, hooks }: CrosswsOptions): Router | undefined {
  if (resolve !== undefined) return async (request) => ({ hooks: await resolve(request) });
  return fetch === undefined ? undefined : fetchRouter(fetch, hooks !== undefined);
}

/** Finds hooks as the server plugin of crossws does. */
function fetchRouter(fetch: (request: Request) => unknown, hasHooks: boolean): Router {
  return async (request) => {
    const answer = (await fetch(request)) as FetchAnswer | undefined;
    const attached = request as { [HOOKS]?: Partial<Hooks>; context?: { [HOOKS]?: Partial<Hooks> } };
    const found = answer?.crossws ?? attached[HOOKS] ?? attached.context?.[HOOKS];
    if (isResponse(answer)) {
      // 426 is the answer to requests that are no upgrades, and comes with hooks.
      const isRefusal = !answer.ok && answer.status !== 101 && answer.status !== 426;
      if (isRefusal && answer.crossws === undefined) return { hooks: { upgrade: () => answer } };
      void answer.body?.cancel().catch(() => undefined);
    }
    if (found === undefined && !hasHooks) {
      return { hooks: { upgrade: () => new Response(null, { status: 404 }) } };
    }
    // Those of a Response belong to the answer that a plain request would get.
    return { hooks: found, headers: isResponse(answer) ? undefined : answer?.headers };
  };
}

/** A `Response`, which may carry hooks, or hooks with headers for the 101. */
type FetchAnswer =
  | (Response & { readonly crossws?: Partial<Hooks> })
  | { readonly crossws?: Partial<Hooks>; readonly headers?: HeadersInit };

/** Headers of the route and of its hook, which comes first. */
function merged(base: HeadersInit, extra: HeadersInit): Headers {
  const all = new Headers(base);
  const own = new Headers(extra);
  for (const name of own.keys()) all.delete(name);
  for (const [name, value] of own) all.append(name, value);
  return all;
}

async function refusal(response: Response): Promise<RejectVerdict> {
  const body = new Uint8Array(await response.arrayBuffer());
  return { status: response.status, headers: responseHeaders(response.headers), body };
}

/** @throws {WSBrokerError} ERR_WSBROKER_INVALID_VERDICT: a header cannot be sent */
function responseHeaders(headers: Headers): [string, string][] {
  const pairs = [...headers].filter(([name]) => !OF_CONNECTION.has(name.toLowerCase()));
  return headerPairs(
    pairs,
    (what) => new WSBrokerError('ERR_WSBROKER_INVALID_VERDICT', `crosswsWorker: ${what}`),
  );
}
