import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Days; no benchmark takes longer. */
const VALID = '30';

/**
 * A self-signed certificate for `localhost`, with a key on P-256 as most servers have today. The
 * files are removed when this process ends.
 * @returns {{ cert: string, key: string }} PEM files
 */
export function makeCertificate() {
  const folder = mkdtempSync(join(tmpdir(), 'wsbroker-bench-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', VALID];
  const named = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const { status, error, stderr } = spawnSync('openssl', [...args, ...named, '-keyout', key, '-out', cert], { encoding: 'utf8' });
  if (status !== 0) {
    throw new Error(`a scenario with TLS needs the openssl command: ${error?.message ?? stderr}`);
  }
  return { cert, key };
}
