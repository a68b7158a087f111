import { WSBrokerRangeError } from '../errors.cjs';
import type { NativeRedis } from '../native.cjs';
import { duration, integer, knownKeys, optional, wrongType } from './checks.cjs';

// Where a Redis is: the option as `joinCluster`, the emitters and the server helper take it.
// Checking it loads no native code.

const REDIS_OPTIONS = [
  'url',
  'host',
  'port',
  'nodes',
  'sentinels',
  'name',
  'username',
  'password',
  'db',
  'connectTimeout',
  'tls',
];
const REDIS_TLS_OPTIONS = ['ca', 'cert', 'key', 'rejectUnauthorized'];
/** With `servername`, the name that the server's certificate must be for. */
export const REDIS_TLS_OPTIONS_NAMED: readonly string[] = [...REDIS_TLS_OPTIONS, 'servername'];

/**
 * @throws {TypeError | RangeError | WSBrokerError} an option is wrong; the message says which, what
 * was expected and what was given, but never shows a password
 */
export function checkRedisOptions(
  call: string,
  name: string,
  value: unknown,
  tlsOptions: readonly string[] = REDIS_TLS_OPTIONS,
): NativeRedis {
  if (typeof value === 'string') return { url: url(call, name, value), nodes: [], kind: 'single' };
  if (typeof value !== 'object' || value === null) {
    throw wrongType(call, name, 'a redis:// or rediss:// URL, or an object', value);
  }
  const bag = knownKeys(call, name, value, REDIS_OPTIONS);
  const kinds = ['url', 'host', 'nodes', 'sentinels'].filter((kind) => bag[kind] !== undefined);
  if (kinds.length > 1) {
    throw new WSBrokerRangeError(
      `${call}: "${name}" must have exactly one of url, host, nodes and sentinels, got ` +
        `${kinds.join(' and ')}`,
    );
  }
  if (kinds.length === 0 && bag['port'] === undefined) {
    throw new WSBrokerRangeError(
      `${call}: "${name}" must have exactly one of url, host, nodes and sentinels, got none`,
    );
  }
  if (bag['nodes'] !== undefined && bag['db'] !== undefined && bag['db'] !== 0) {
    throw new WSBrokerRangeError(
      `${call}: "${name}.db" must be left out with "nodes": a Redis Cluster has one database`,
    );
  }
  const shared = {
    ...defined('username', text(call, `${name}.username`, bag['username'])),
    ...defined('password', text(call, `${name}.password`, bag['password'])),
    ...defined('db', integer(call, `${name}.db`, bag['db'], 0, 2 ** 16)),
    ...defined(
      'connectTimeout',
      duration(call, `${name}.connectTimeout`, bag['connectTimeout'], 1),
    ),
    ...defined('tls', redisTls(call, `${name}.tls`, bag['tls'], tlsOptions)),
  };
  if (bag['url'] !== undefined) {
    return { url: url(call, `${name}.url`, bag['url']), nodes: [], kind: 'single', ...shared };
  }
  if (bag['sentinels'] !== undefined) {
    const primary = text(call, `${name}.name`, bag['name']);
    if (primary === undefined || primary === '') {
      throw wrongType(
        call,
        `${name}.name`,
        'the name of the primary that the Sentinels watch',
        bag['name'],
      );
    }
    return {
      kind: 'sentinel',
      nodes: nodes(call, `${name}.sentinels`, bag['sentinels'], 26379),
      name: primary,
      ...shared,
    };
  }
  if (bag['nodes'] !== undefined) {
    return { kind: 'cluster', nodes: nodes(call, `${name}.nodes`, bag['nodes'], 6379), ...shared };
  }
  return {
    kind: 'single',
    nodes: [node(call, name, { host: bag['host'] ?? '127.0.0.1', port: bag['port'] }, 6379)],
    ...shared,
  };
}

function url(call: string, name: string, value: unknown): string {
  if (typeof value !== 'string') throw wrongType(call, name, 'a string', value);
  // The URL is not shown: it may contain a password.
  if (!/^rediss?:\/\/\S+$/.test(value)) {
    throw new WSBrokerRangeError(`${call}: "${name}" must be a redis:// or rediss:// URL, such as 'redis://127.0.0.1:6379'`);
  }
  return value;
}

function nodes(
  call: string,
  name: string,
  value: unknown,
  port: number,
): { host: string; port: number }[] {
  if (!Array.isArray(value)) throw wrongType(call, name, 'an array of { host, port }', value);
  if (value.length === 0) {
    throw new WSBrokerRangeError(
      `${call}: "${name}" must contain at least one server, got an empty array`,
    );
  }
  return value.map((one, i) =>
    node(call, `${name}[${i}]`, knownKeys(call, `${name}[${i}]`, one, ['host', 'port']), port),
  );
}

function node(
  call: string,
  name: string,
  { host, port }: { host?: unknown; port?: unknown },
  usual: number,
): { host: string; port: number } {
  if (typeof host !== 'string' || host === '') {
    throw wrongType(call, `${name}.host`, 'a host name or an IP address', host);
  }
  return { host, port: integer(call, `${name}.port`, port, 1, 65_535) ?? usual };
}

function redisTls(
  call: string,
  name: string,
  value: unknown,
  known: readonly string[],
): NativeRedis['tls'] {
  if (value === undefined || value === false) return undefined;
  if (value === true) return { rejectUnauthorized: true };
  const bag = knownKeys(call, name, value, known);
  const pem = (option: string): Buffer | undefined => {
    const one = bag[option];
    if (one === undefined) return undefined;
    if (one instanceof Uint8Array) return Buffer.from(one);
    if (typeof one !== 'string') throw wrongType(call, `${name}.${option}`, 'PEM', one);
    if (!one.includes('-----BEGIN')) {
      throw new WSBrokerRangeError(
        `${call}: "${name}.${option}" must be PEM, which contains a line with -----BEGIN`,
      );
    }
    return Buffer.from(one);
  };
  const [cert, key] = [pem('cert'), pem('key')];
  if ((cert === undefined) !== (key === undefined)) {
    throw new WSBrokerRangeError(`${call}: "${name}" must have both "cert" and "key", or neither`);
  }
  return {
    ...defined('ca', pem('ca')),
    ...defined('cert', cert),
    ...defined('key', key),
    ...defined('servername', text(call, `${name}.servername`, bag['servername'])),
    rejectUnauthorized:
      optional(call, `${name}.rejectUnauthorized`, bag['rejectUnauthorized'], 'boolean') ?? true,
  };
}

export function text(call: string, name: string, value: unknown): string | undefined {
  if (value !== undefined && typeof value !== 'string') {
    throw wrongType(call, name, 'a string', value);
  }
  return value;
}

export function defined<K extends string, V>(name: K, value: V | undefined): { [key in K]?: V } {
  return value === undefined ? {} : ({ [name]: value } as { [key in K]?: V });
}
