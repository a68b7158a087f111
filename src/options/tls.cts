import { promises as files } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WSBrokerError, WSBrokerRangeError } from '../errors.cjs';
import type { NativePem, NativeTls } from '../native.cjs';
import { knownKeys, oneOf, optional, wrongType, wrongValue } from './checks.cjs';

// Certificates and keys. Options are checked at once; files are read when they are needed, and
// again when they are reloaded.

/** Where PEM comes from. `name` is that of the option, for messages. */
type PemLocation = { readonly name: string } & (
  { readonly pem: Buffer } | { readonly path: string }
);

/** The option `tls`, checked as far as is possible without reading files. */
export interface CheckedTlsOptions {
  readonly pairs: readonly { readonly cert: PemLocation; readonly key: PemLocation }[];
  readonly ca: readonly PemLocation[];
  readonly requestCert: boolean;
  readonly rejectUnauthorized: boolean;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
}

const TLS_OPTIONS = ['cert', 'key', 'ca', 'requestCert', 'rejectUnauthorized', 'minVersion'];

/** Paths are shorter (PATH_MAX), but a key without its first line is longer. */
const LONGEST_PATH = 4096;

/**
 * @throws {TypeError | RangeError | WSBrokerError} an option is wrong; the message says which, what
 * was expected and what was given, but never shows PEM or a key
 */
export function checkTlsOptions(call: string, value: unknown): CheckedTlsOptions {
  const bag = knownKeys(
    call,
    'tls',
    value,
    TLS_OPTIONS,
    {},
    "an object such as { cert: 'chain.pem', key: 'key.pem' }",
  );
  const certs = pemLocations(call, 'tls.cert', bag['cert']);
  const keys = pemLocations(call, 'tls.key', bag['key']);
  if (certs.length === 0) {
    throw invalid(call, '"tls.cert" must contain at least one certificate, got an empty array');
  }
  if (certs.length !== keys.length) {
    throw invalid(
      call,
      `"tls.key" must have one key for each "tls.cert", got ${keys.length} for ${certs.length}`,
    );
  }
  const ca = bag['ca'] === undefined ? [] : pemLocations(call, 'tls.ca', bag['ca']);
  const requestCert = optional(call, 'tls.requestCert', bag['requestCert'], 'boolean') ?? false;
  if (requestCert && ca.length === 0) {
    throw invalid(
      call,
      '"tls.requestCert" requires "tls.ca", the authorities that may issue client certificates',
    );
  }
  // With authorities, one would expect that clients are checked.
  if (!requestCert && ca.length > 0) {
    throw invalid(
      call,
      '"tls.ca" requires "tls.requestCert": without it, clients are not asked for certificates',
    );
  }
  return {
    pairs: certs.map((cert, i) => ({ cert, key: keys[i] as PemLocation })),
    ca,
    requestCert,
    rejectUnauthorized:
      optional(call, 'tls.rejectUnauthorized', bag['rejectUnauthorized'], 'boolean') ?? true,
    minVersion:
      oneOf(call, 'tls.minVersion', bag['minVersion'], ['TLSv1.2', 'TLSv1.3']) ?? 'TLSv1.2',
  };
}

/**
 * @throws {WSBrokerError} ERR_WSBROKER_TLS: a file cannot be read; the message has its name and the
 * system's reason
 */
export async function readTls(call: string, request: CheckedTlsOptions): Promise<NativeTls> {
  const { pairs, ca, ...settings } = request;
  const [readPairs, authorities] = await Promise.all([
    Promise.all(
      pairs.map(async ({ cert, key }) => ({
        cert: await read(call, cert),
        key: await read(call, key),
      })),
    ),
    Promise.all(ca.map((one) => read(call, one))),
  ]);
  return { ...settings, pairs: readPairs, ca: authorities };
}

function pemLocations(call: string, name: string, value: unknown): PemLocation[] {
  return Array.isArray(value)
    ? value.map((one, i) => pemLocation(call, `${name}[${i}]`, one))
    : [pemLocation(call, name, value)];
}

function pemLocation(call: string, name: string, value: unknown): PemLocation {
  if (value instanceof Uint8Array) return { name, pem: Buffer.from(value) };
  if (value instanceof ArrayBuffer) return { name, pem: Buffer.from(value.slice(0)) };
  if (typeof value === 'string' && value.includes('-----BEGIN')) {
    return { name, pem: Buffer.from(value) };
  }
  if (typeof value === 'string' && !value.startsWith('file:')) {
    // The value is not shown: it may be a truncated key.
    if (value === '' || value.length > LONGEST_PATH || /[\0\n\r]/.test(value)) {
      throw invalid(
        call,
        `"${name}" must be PEM, which contains a line with -----BEGIN, or the path of a file`,
      );
    }
    return { name, path: resolve(value) };
  }
  if (typeof value !== 'string' && !(value instanceof URL)) {
    throw wrongType(call, name, 'PEM (a string or bytes) or the path of a file', value);
  }
  try {
    return { name, path: fileURLToPath(value) };
  } catch {
    throw wrongValue(call, name, 'a path or a file: URL on this machine', String(value));
  }
}

/** The name says where it comes from, in messages of the addon. */
async function read(call: string, from: PemLocation): Promise<NativePem> {
  if ('pem' in from) return { name: `"${from.name}"`, pem: from.pem };
  try {
    return { name: `"${from.name}" (${from.path})`, pem: await files.readFile(from.path) };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const failure = new WSBrokerError(
      'ERR_WSBROKER_TLS',
      `${call}: "${from.name}" (${from.path}) cannot be read: ${message}`,
      { cause: error },
    );
    throw code === undefined ? failure : Object.assign(failure, { syscallCode: code });
  }
}

function invalid(call: string, message: string): WSBrokerRangeError {
  return new WSBrokerRangeError(`${call}: ${message}`);
}
