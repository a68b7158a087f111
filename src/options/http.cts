import type { Server as HttpServer } from 'node:http';
import { types } from 'node:util';
import { builtins } from '../builtins.cjs';
import { WSBrokerRangeError } from '../errors.cjs';
import type { NativeAnswer, NativeHttp } from '../native.cjs';
import { duration, integer, knownKeys, strings, wrongType, wrongValue } from './checks.cjs';
import { headerPairs } from './headers.cjs';

// What an address does with requests that are not its upgrades: `answers`, `http`, and the options
// that go with them.

/** What is called for each request, such as an Express application. */
export type RequestFunction = (request: never, response: never) => unknown;

/** Where requests go that are not answered by `answers`. */
export type HttpTarget =
  | { readonly kind: 'server'; readonly server: HttpServer }
  | { readonly kind: 'function'; readonly handle: RequestFunction }
  | { readonly kind: 'address'; readonly forward: string };

/** `http`, `answers` and what goes with them, checked. */
export interface CheckedHttpOptions {
  readonly native: Omit<NativeHttp, 'forward' | 'identity'>;
  readonly target: HttpTarget | undefined;
}

export const HTTP_OPTIONS = [
  'answers', 'http', 'forwardUpgrades', 'keepAliveTimeout', 'requestTimeout', 'forwardTimeout',
] as const;

const EXPECTED_HTTP =
  'an http.Server that does not listen yet, a request listener such as an Express application, or ' +
  "{ forward } with an address such as 'http://127.0.0.1:3001'";
/** What to pass instead of a function of the Fetch API. */
export const FETCH_HINT =
  "for Hono, pass getRequestListener(app.fetch) of '@hono/node-server'; for h3, " +
  "toNodeHandler(app) of 'h3'; for Elysia and other \"fetch\" functions, toNodeHandler(app.fetch) of 'srvx/node'";
const EXPECTED_ANSWER = "'health', 'ready', 'metrics', or an object with \"status\"";

/**
 * @param paths the paths that are served
 * @throws {TypeError | RangeError | WSBrokerError} an option is wrong
 */
export function checkHttpOptions(
  call: string,
  bag: Record<string, unknown>,
  paths: readonly string[],
): CheckedHttpOptions | undefined {
  const answers = checkAnswers(call, bag['answers'], paths);
  const target = bag['http'] === undefined ? undefined : checkTarget(call, bag['http']);
  const upgrades = checkUpgrades(call, bag['forwardUpgrades'], paths);
  const time = (name: string, fallback: number): number =>
    duration(call, name, bag[name], 1) ?? fallback;
  const native = {
    answers,
    forwardAllUpgrades: upgrades === true,
    forwardUpgrades: upgrades === true ? [] : upgrades,
    keepAliveTimeout: time('keepAliveTimeout', 75_000),
    requestTimeout: time('requestTimeout', 60_000),
    forwardTimeout: time('forwardTimeout', 60_000),
  };
  const given = (name: string): boolean => bag[name] !== undefined && bag[name] !== false;
  const lone = ['forwardUpgrades', 'requestTimeout', 'forwardTimeout'].find(given);
  if (target === undefined && lone !== undefined) {
    throw new WSBrokerRangeError(
      `${call}: "${lone}" requires "http", which says where requests are forwarded`,
    );
  }
  if (target !== undefined || answers.length > 0) return { native, target };
  if (given('keepAliveTimeout')) {
    throw new WSBrokerRangeError(
      `${call}: "keepAliveTimeout" requires "http" or "answers"; for sockets use "idleTimeout"`,
    );
  }
  if (paths.length === 0) {
    throw new WSBrokerRangeError(
      `${call}: "path" must contain at least one path, got an empty array; only an address with ` +
        '"answers" or "http" can do without',
    );
  }
  return undefined;
}

function checkAnswers(call: string, value: unknown, paths: readonly string[]): NativeAnswer[] {
  if (value === undefined) return [];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrongType(call, 'answers', "an object such as { '/healthz': 'health' }", value);
  }
  return Object.entries(value).flatMap(([path, answer]: [string, unknown]) => {
    if (!/^\/[^?#\s]*$/.test(path)) {
      throw wrongValue(
        call,
        'answers',
        "an object whose keys are paths that begin with '/' and have no '?', '#' or space",
        path,
      );
    }
    if (paths.includes(path)) {
      throw new WSBrokerRangeError(
        `${call}: '${path}' is in "path" and in "answers"; a path is either served to sockets or ` +
          'answered, so remove it from one of them',
      );
    }
    return answer === undefined ? [] : [checkAnswer(call, path, answer)];
  });
}

function checkAnswer(call: string, path: string, answer: unknown): NativeAnswer {
  const name = `answers['${path}']`;
  if (typeof answer === 'string') {
    if (answer !== 'health' && answer !== 'ready' && answer !== 'metrics') {
      throw wrongValue(call, name, EXPECTED_ANSWER, answer);
    }
    return { path, kind: answer, status: 200, headers: [] };
  }
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) {
    throw wrongType(call, name, EXPECTED_ANSWER, answer);
  }
  const bag = knownKeys(call, name, answer, ['status', 'headers', 'body']);
  const status = integer(call, `${name}.status`, bag['status'], 200, 599);
  if (status === undefined) {
    throw wrongType(call, `${name}.status`, 'an integer from 200 to 599', undefined);
  }
  const wrong = (what: string): Error => new WSBrokerRangeError(`${call}: "${name}": ${what}`);
  const headers = bag['headers'] === undefined ? [] : headerPairs(bag['headers'], wrong);
  const native: NativeAnswer = {
    path,
    kind: 'fixed',
    status,
    headers: headers.map(([header, text]) => ({ name: header, value: text })),
  };
  if (bag['body'] !== undefined) native.body = bodyBytes(call, `${name}.body`, bag['body']);
  return native;
}

function bodyBytes(call: string, name: string, value: unknown): Buffer {
  if (typeof value === 'string') return Buffer.from(value);
  if (types.isUint8Array(value)) return Buffer.from(value);
  if (types.isArrayBuffer(value)) return Buffer.from(new Uint8Array(value));
  throw wrongType(call, name, 'a string, ArrayBuffer or Uint8Array', value);
}

function checkUpgrades(call: string, value: unknown, paths: readonly string[]): string[] | true {
  if (value === undefined || value === false) return [];
  if (value !== true && !Array.isArray(value)) {
    throw wrongType(call, 'forwardUpgrades', 'a boolean or an array of paths', value);
  }
  if (paths.includes('*')) {
    throw new WSBrokerRangeError(
      `${call}: "forwardUpgrades" has no effect while "path" is '*', because every upgrade is ` +
        `wsbroker's; set "path" to the paths of your sockets, such as path: '/ws'`,
    );
  }
  if (value === true) return true;
  const upgrades = strings(call, 'forwardUpgrades', value, 'a boolean or an array of paths');
  for (const one of upgrades) {
    if (!/^\/[^?#\s]*$/.test(one)) {
      const expected = "paths that begin with '/' and have no '?', '#' or space";
      throw wrongValue(call, 'forwardUpgrades', expected, one);
    }
    if (paths.includes(one)) {
      throw new WSBrokerRangeError(
        `${call}: '${one}' is in "path" and in "forwardUpgrades"; remove it from one of them`,
      );
    }
  }
  return upgrades;
}

function checkTarget(call: string, value: unknown): HttpTarget {
  if (typeof value === 'function') {
    // It would be called with a request and a response of Node, and answer nobody.
    if (/^(bound )?fetch$/.test(value.name)) {
      throw new WSBrokerRangeError(`${call}: "http" must be ${EXPECTED_HTTP}; ${FETCH_HINT}`);
    }
    return { kind: 'function', handle: value as RequestFunction };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrongType(call, 'http', EXPECTED_HTTP, value);
  }
  if (value instanceof builtins.tls.Server || value instanceof builtins.https.Server) {
    throw new WSBrokerRangeError(
      `${call}: "http" must be a server without TLS, got an https.Server; wsbroker encrypts the ` +
        'whole address with "tls", so pass a server of http.createServer',
    );
  }
  if (value instanceof builtins.http.Server) {
    checkNotListening(call, value);
    return { kind: 'server', server: value };
  }
  const hint = hintForObject(value);
  if (hint !== undefined) {
    throw new WSBrokerRangeError(`${call}: "http" must be ${EXPECTED_HTTP}; ${hint}`);
  }
  const { forward } = knownKeys(call, 'http', value, ['forward']);
  if (typeof forward !== 'string' && !(forward instanceof URL)) {
    throw wrongType(call, 'http.forward', 'a string or a URL', forward);
  }
  return { kind: 'address', forward: String(forward) };
}

/** @throws {RangeError} it listens already */
export function checkNotListening(call: string, server: HttpServer): void {
  if (!server.listening) return;
  throw new WSBrokerRangeError(
    `${call}: "http" must be a server that does not listen yet, because wsbroker listens for it; ` +
      'remove its call of listen, or pass its address as { forward }',
  );
}

/** For objects of frameworks that are almost what is expected. */
function hintForObject(value: object): string | undefined {
  const has = (name: string): boolean =>
    typeof (value as Record<string, unknown>)[name] === 'function';
  const { server } = value as { server?: unknown };
  if (server instanceof builtins.http.Server) {
    return 'for Fastify, pass app.server after "await app.ready()"';
  }
  if (has('getHttpServer')) return 'for NestJS, pass app.getHttpServer() after "await app.init()"';
  if (has('callback') && has('use')) return 'for Koa, pass app.callback()';
  if (has('fetch') && has('request')) return FETCH_HINT;
  if (has('fetch') && has('listen')) {
    return (
      "for Elysia, pass toNodeHandler(app.fetch) of 'srvx/node'; on Bun, app.listen(0) and " +
      '{ forward: app.server.url } will do, too'
    );
  }
  if (has('fetch')) return 'for Bun.serve, pass { forward: server.url }';
  return value instanceof builtins.net.Server ? 'got another kind of server' : undefined;
}
