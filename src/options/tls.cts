import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { oneOf, optionBag, optional, wrongType, wrongValue } from './checks.cjs';
import { WSBrokerError, WSBrokerRangeError } from '../errors.cjs';
import type { NativePem, NativeTls } from '../native.cjs';

// Certificates and keys: what is given is checked at once; files are read when they are wanted, and
// again when they are reloaded.

/** Where PEM comes from. `name` is the argument's, for messages. */
type Source = { readonly name: string } & ({ readonly pem: Buffer } | { readonly path: string });

/** The `tls` of a call, checked as far as it can be without reading. */
export interface TlsRequest {
  readonly pairs: readonly { readonly cert: Source; readonly key: Source }[];
  readonly ca: readonly Source[];
  readonly requestCert: boolean;
  readonly rejectUnauthorized: boolean;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
}

const KNOWN = ['cert', 'key', 'ca', 'requestCert', 'rejectUnauthorized', 'minVersion'];

/** No path is as long (PATH_MAX), but a key without its first line is. */
const LONGEST_PATH = 4096;

/**
 * @throws {TypeError | RangeError | WSBrokerError} naming the option, what was expected and what
 * came; never what PEM or a key holds
 */
export function tlsRequest(call: string, value: unknown): TlsRequest {
  const bag = optionBag(call, 'tls', value, KNOWN);
  const certs = sources(call, 'tls.cert', bag['cert']);
  const keys = sources(call, 'tls.key', bag['key']);
  if (certs.length === 0)
    throw invalid(call, '"tls.cert" must name at least one certificate, got an empty array');
  if (certs.length !== keys.length)
    throw invalid(
      call,
      `"tls.key" must have one key for each "tls.cert", got ${keys.length} for ${certs.length}`,
    );
  const ca = bag['ca'] === undefined ? [] : sources(call, 'tls.ca', bag['ca']);
  const requestCert = optional(call, 'tls.requestCert', bag['requestCert'], 'boolean') ?? false;
  if (requestCert && ca.length === 0)
    throw invalid(
      call,
      '"tls.requestCert" needs "tls.ca", the authorities that clients\' certificates come from',
    );
  // Who names authorities believes that clients are checked.
  if (!requestCert && ca.length > 0)
    throw invalid(
      call,
      '"tls.ca" needs "tls.requestCert": without it no client is asked for a certificate',
    );
  return {
    pairs: certs.map((cert, i) => ({ cert, key: keys[i] as Source })),
    ca,
    requestCert,
    rejectUnauthorized:
      optional(call, 'tls.rejectUnauthorized', bag['rejectUnauthorized'], 'boolean') ?? true,
    minVersion:
      oneOf(call, 'tls.minVersion', bag['minVersion'], ['TLSv1.2', 'TLSv1.3']) ?? 'TLSv1.2',
  };
}

/** @throws {WSBrokerError} ERR_WSBROKER_TLS naming the file and the system's reason */
export async function readTls(call: string, request: TlsRequest): Promise<NativeTls> {
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

function sources(call: string, name: string, value: unknown): Source[] {
  return Array.isArray(value)
    ? value.map((one, i) => source(call, `${name}[${i}]`, one))
    : [source(call, name, value)];
}

function source(call: string, name: string, value: unknown): Source {
  if (value instanceof Uint8Array) return { name, pem: Buffer.from(value) };
  if (value instanceof ArrayBuffer) return { name, pem: Buffer.from(value.slice(0)) };
  if (typeof value === 'string' && value.includes('-----BEGIN'))
    return { name, pem: Buffer.from(value) };
  if (typeof value === 'string' && !value.startsWith('file:')) {
    // Not shown: it may be a key that was cut.
    if (value === '' || value.length > LONGEST_PATH || /[\0\n\r]/.test(value))
      throw invalid(
        call,
        `"${name}" must be PEM, which has a line with -----BEGIN, or the path of a file`,
      );
    return { name, path: resolve(value) };
  }
  if (typeof value !== 'string' && !(value instanceof URL))
    throw wrongType(call, name, 'PEM, bytes of it, or the path of a file', value);
  try {
    return { name, path: fileURLToPath(value) };
  } catch {
    throw wrongValue(call, name, 'a path or a file: URL of this machine', String(value));
  }
}

/** With a name that says, in messages of the addon, where it is from. */
async function read(call: string, from: Source): Promise<NativePem> {
  if ('pem' in from) return { name: `"${from.name}"`, pem: from.pem };
  try {
    return { name: `"${from.name}" (${from.path})`, pem: await readFile(from.path) };
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
