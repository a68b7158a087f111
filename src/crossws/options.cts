import type { AdapterOptions } from 'crossws' with { 'resolution-mode': 'import' };
import { WSBrokerError } from '../errors.cjs';
import { knownKeys, optional, wrongType } from '../options/checks.cjs';
import type { ErrorContext } from '../types/worker-interface.cjs';

/** Options of {@link crosswsWorker}. */
export interface CrosswsOptions extends Pick<
  AdapterOptions,
  'hooks' | 'resolve' | 'getNamespace' | 'handleProtocols'
> {
  /**
   * The `fetch` of an application of h3, Nitro or another library that routes requests to hooks. It
   * is asked for each connection; the hooks are those of `defineWebSocketHandler` where the request
   * arrives. It may also answer with `{ crossws, headers }`: hooks, and headers for the 101. Any
   * other answer that is not a success refuses the connection, as it is. Without hooks there and in
   * `hooks`, the client gets 404.
   */
  readonly fetch?: (request: Request) => unknown;
  /**
   * Called for every error of a hook for which there is no `error` hook, and for errors of that.
   * Without it, they are written to stderr.
   */
  readonly onError?: (error: unknown, context: ErrorContext) => unknown;
}

const CALL = 'crosswsWorker';
const KNOWN = ['hooks', 'resolve', 'fetch', 'getNamespace', 'handleProtocols', 'onError'];
const HOOKS = ['upgrade', 'open', 'message', 'close', 'drain', 'error', 'ping', 'pong'];
const HINTS = {
  sync:
    'channels reach all threads of a process by themselves, and all instances with the option ' +
    '"cluster" of start',
  idleTimeout: 'set "idleTimeout" of start, which is in milliseconds',
  serverOptions: 'the options of start are for that',
  wss: 'wsbroker is the server',
  ...Object.fromEntries(HOOKS.map((name) => [name, `write it as { hooks: { ${name} } }`])),
};

/** @throws {TypeError | WSBrokerError} an option is wrong; the message names it */
export function checkCrosswsOptions(options: CrosswsOptions): CrosswsOptions {
  const bag = knownKeys(CALL, 'options', options, KNOWN, HINTS);
  for (const name of ['resolve', 'fetch', 'getNamespace', 'handleProtocols', 'onError']) {
    optional(CALL, name, bag[name], 'function');
  }
  if (bag['hooks'] !== undefined) {
    if (typeof bag['hooks'] !== 'object' || bag['hooks'] === null) {
      throw wrongType(CALL, 'hooks', 'an object', bag['hooks']);
    }
    // Of the hooks that there are, since an object may have other members, too.
    for (const name of HOOKS) {
      optional(CALL, `hooks.${name}`, Reflect.get(bag['hooks'], name), 'function');
    }
  }
  if (bag['resolve'] !== undefined && bag['fetch'] !== undefined) {
    throw new WSBrokerError(
      'ERR_WSBROKER_CONFLICT',
      `${CALL}: "resolve" and "fetch" both say where the hooks come from; remove one of them`,
    );
  }
  if (bag['hooks'] === undefined && bag['resolve'] === undefined && bag['fetch'] === undefined) {
    throw wrongType(CALL, 'hooks', 'an object, or "resolve" or "fetch" a function', undefined);
  }
  return options;
}
