// Certificates for tests, made on the spot: X.509 (RFC 5280) with keys on P-256, written in DER by hand, since neither Node nor Bun makes them and openssl is not everywhere.
import { generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';
import net from 'node:net';

// DER: a tag, a length, the content.
const der = (tag, ...parts) => {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
};
const sequence = (...parts) => der(0x30, ...parts);
const integer = (bytes) => der(0x02, bytes);
const octets = (bytes) => der(0x04, bytes);
const bits = (bytes) => der(0x03, Buffer.from([0]), bytes);
const boolean = (value) => der(0x01, Buffer.from([value ? 255 : 0]));
const oid = (text) => {
  const [first, second, ...rest] = text.split('.').map(Number);
  const bytes = rest.flatMap((arc) => {
    const digits = [arc & 127];
    for (let left = arc >> 7; left > 0; left >>= 7) digits.unshift((left & 127) | 128);
    return digits;
  });
  return der(0x06, Buffer.from([first * 40 + second, ...bytes]));
};
const time = (date) => der(0x18, Buffer.from(date.toISOString().replace(/[-:T]|\.\d+/g, '')));
const name = (common) => sequence(der(0x31, sequence(oid('2.5.4.3'), der(0x0c, Buffer.from(common)))));
const extension = (id, critical, content) => sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(content));
const pem = (label, bytes) => `-----BEGIN ${label}-----\n${bytes.toString('base64').match(/.{1,64}/g).join('\n')}\n-----END ${label}-----\n`;

const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));
const HOUR = 3_600_000;

function make(common, { names = [], ca = false, issuer, from = new Date(Date.now() - HOUR), to = new Date(Date.now() + 24 * HOUR) }) {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const alternative = names.map((one) =>
    net.isIP(one) === 4 ? der(0x87, Buffer.from(one.split('.').map(Number))) : der(0x82, Buffer.from(one)),
  );
  const extensions = [
    extension('2.5.29.19', true, sequence(...(ca ? [boolean(true)] : []))),
    ...(names.length > 0 ? [extension('2.5.29.17', false, sequence(...alternative))] : []),
    // For servers and for clients.
    ...(ca ? [] : [extension('2.5.29.37', false, sequence(oid('1.3.6.1.5.5.7.3.1'), oid('1.3.6.1.5.5.7.3.2')))]),
  ];
  const body = sequence(
    der(0xa0, integer(Buffer.from([2]))), // version 3
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ECDSA_SHA256,
    name(issuer?.common ?? common),
    sequence(time(from), time(to)),
    name(common),
    keys.publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  );
  const raw = sequence(body, ECDSA_SHA256, bits(sign('sha256', body, issuer?.keys.privateKey ?? keys.privateKey)));
  return {
    common,
    keys,
    raw,
    cert: pem('CERTIFICATE', raw),
    key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    fingerprint256: new X509Certificate(raw).fingerprint256,
  };
}

/** An authority that signs itself: { cert, key } in PEM, `raw` in DER; `issue(common, { names, from?, to? })` makes certificates for servers and clients. */
export function authority(common = 'Test authority') {
  const root = make(common, { ca: true });
  return { ...root, issue: (subject, options = {}) => make(subject, { ...options, issuer: root }) };
}
