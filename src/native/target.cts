import { readdirSync, readFileSync } from 'node:fs';

/** As napi-rs names its targets: `linux-x64-gnu`, `darwin-arm64`, `win32-x64-msvc`. */
export function platformTarget(): string {
  const { platform, arch } = process;
  switch (platform) {
    case 'linux':
      return `linux-${arch}-${isMusl() ? 'musl' : 'gnu'}${arch === 'arm' ? 'eabihf' : ''}`;
    case 'win32':
      return `win32-${arch}-msvc`;
    default:
      return `${platform}-${arch}`;
  }
}

/**
 * By the system's own loader; the runtime's report knows too, but takes long to make, and Bun's
 * does not say.
 */
function isMusl(): boolean {
  try {
    const ldd = readFileSync('/usr/bin/ldd', 'latin1');
    if (ldd.includes('musl')) return true;
    if (/GNU C Library|GLIBC/i.test(ldd)) return false;
  } catch {
    // Not every image has ldd.
  }
  try {
    return readdirSync('/lib').some((name) => name.startsWith('ld-musl-'));
  } catch {
    return false;
  }
}
