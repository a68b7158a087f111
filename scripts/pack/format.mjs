// What an addon was built for, read from the file itself: whatever it is called, a file for another
// processor, system or C library must not get into a package.
import { readFileSync } from 'node:fs';

const ELF = { 0x3e: 'x64', 0xb7: 'arm64' };
const PE = { 0x8664: 'x64', 0xaa64: 'arm64' };
const MACH_O = { 0x01000007: 'x64', 0x0100000c: 'arm64' };

/**
 * `{ os, cpu, libc }` as npm calls them, or `undefined` if the file is no library of a system that
 * is known here. `libc` is of Linux only, and `undefined` for a file that names neither.
 */
export function formatOf(file) {
  const bytes = readFileSync(file);
  try {
    if (bytes.readUInt32BE(0) === 0x7f454c46) return { os: 'linux', cpu: ELF[bytes.readUInt16LE(18)], libc: libcOf(needed(bytes)) };
    if (bytes.readUInt32LE(0) === 0xfeedfacf) return { os: 'darwin', cpu: MACH_O[bytes.readUInt32LE(4)], libc: undefined };
    const header = bytes.toString('latin1', 0, 2) === 'MZ' ? bytes.readUInt32LE(0x3c) : undefined;
    if (header !== undefined && bytes.toString('latin1', header, header + 4) === 'PE\0\0') return { os: 'win32', cpu: PE[bytes.readUInt16LE(header + 4)], libc: undefined };
  } catch (error) {
    // It ends too early.
    if (!(error instanceof RangeError)) throw error;
  }
  return undefined;
}

/** What is wrong with an addon for this platform, as half a sentence, or `undefined`. */
export function mismatch({ os, cpu, libc }, file) {
  const found = formatOf(file);
  if (found === undefined) return 'is no library of Linux, macOS or Windows';
  if (found.os === os && found.cpu === cpu && found.libc === libc) return undefined;
  return `is for ${[found.os, found.cpu ?? 'another processor', found.libc].filter(Boolean).join(', ')}, and not for ${[os, cpu, libc].filter(Boolean).join(', ')}`;
}

/** The oldest glibc that Node 18 and later run with. */
export const OLDEST_GLIBC = '2.28';

/** As `mismatch`, for an addon that others get: it is to load wherever Node does. */
export function tooNew({ libc }, file) {
  if (libc !== 'glibc') return undefined;
  const wanted = stringsOf(readFileSync(file)).toString('latin1').match(/GLIBC_[\d.]+/g) ?? [];
  const minors = wanted.map((name) => Number(/^GLIBC_2\.(\d+)/.exec(name)?.[1] ?? Infinity));
  const newest = Math.max(0, ...minors);
  if (newest <= Number(OLDEST_GLIBC.split('.')[1])) return undefined;
  return `needs glibc 2.${newest}, and Node no newer one than ${OLDEST_GLIBC}`;
}

function libcOf(libraries) {
  if (libraries.some((name) => /^(libc\.so\.6|ld-linux-)/.test(name))) return 'glibc';
  return libraries.some((name) => /^(libc\.so$|libc\.musl-|ld-musl-)/.test(name)) ? 'musl' : undefined;
}

/** The libraries that a 64-bit ELF file in little endian names: its entries DT_NEEDED. */
function needed(bytes) {
  const { entries, strings } = dynamicSection(bytes);
  return entries.filter(([tag]) => tag === 1).map(([, name]) => bytes.toString('latin1', strings + name, bytes.indexOf(0, strings + name)));
}

/** The names of what it takes from libraries, and their versions. */
function stringsOf(bytes) {
  const { entries, strings } = dynamicSection(bytes);
  return bytes.subarray(strings, strings + (entries.find(([tag]) => tag === 10)?.[1] ?? 0));
}

function dynamicSection(bytes) {
  const [table, size, count] = [number(bytes, 32), bytes.readUInt16LE(54), bytes.readUInt16LE(56)];
  const segments = Array.from({ length: count }, (_, n) => table + n * size).map((at) => ({
    type: bytes.readUInt32LE(at),
    offset: number(bytes, at + 8),
    address: number(bytes, at + 16),
    length: number(bytes, at + 32),
  }));
  const dynamic = segments.find(({ type }) => type === 2);
  if (dynamic === undefined) return NONE;
  const entries = [];
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.length; at += 16) entries.push([number(bytes, at), number(bytes, at + 8)]);
  const address = entries.find(([tag]) => tag === 5)?.[1];
  const holder = segments.find((one) => one.type === 1 && address >= one.address && address < one.address + one.length);
  if (holder === undefined) return NONE;
  return { entries, strings: address - holder.address + holder.offset };
}

const NONE = { entries: [], strings: 0 };

const number = (bytes, at) => Number(bytes.readBigUInt64LE(at));
