// Writes platforms/<target>/: one npm package for each target, with nothing but the addon for it.
// The packages come from the list of targets in package.json, so that neither names nor versions
// can diverge. `npm test` checks that they are current.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const packageFile = path.join(root, 'package.json');

const ARCH = { x86_64: ['x64', 'x86-64'], aarch64: ['arm64', 'ARM64'] };
const SYSTEM = { linux: ['linux', 'Linux'], darwin: ['darwin', 'macOS'], windows: ['win32', 'Windows'] };
const LIBC = { gnu: 'glibc', musl: 'musl' };

/**
 * The name that npm uses for a Rust target: `x86_64-unknown-linux-gnu` is `linux-x64-gnu`, for os
 * linux, cpu x64, libc glibc.
 */
export function platform(triple) {
  const [arch, , system, abi] = triple.split('-');
  const [cpu, cpuName] = ARCH[arch] ?? [];
  const [os, osName] = SYSTEM[system] ?? [];
  if (cpu === undefined || os === undefined) throw new Error(`the target ${triple} has no known platform: add it to scripts/platforms.mjs`);
  const libc = os === 'linux' ? LIBC[abi] : undefined;
  return {
    triple,
    os,
    cpu,
    libc,
    name: [os, cpu, abi].filter(Boolean).join('-'),
    title: `${osName} on ${cpuName}${libc ? ` (${libc})` : ''}`,
  };
}

export const json = (value) => JSON.stringify(value, null, 2) + '\n';

/** The file of an addon. It does not depend on the scope of the packages. */
export const addonFile = (main, { name }) => `${main.napi.binaryName}.${name}.node`;

export const platformPackage = (main, { name }) => `${main.name}-${name}`;

/** What packages of platforms say as the main package says it. */
const SHARED = ['license', 'repository', 'bugs', 'homepage', 'publishConfig'];

export function manifest(one, main) {
  const { os, cpu, libc, title } = one;
  const file = addonFile(main, one);
  return {
    name: platformPackage(main, one),
    version: main.version,
    description: `The addon of ${main.name} for ${title}`,
    ...Object.fromEntries(SHARED.filter((key) => main[key]).map((key) => [key, main[key]])),
    engines: main.engines,
    os: [os],
    cpu: [cpu],
    ...(libc ? { libc: [libc] } : {}),
    main: file,
    files: [file],
  };
}

export function readme(one, main) {
  return `# ${platformPackage(main, one)}

The compiled part of ${main.name} for ${one.title}, Rust target \`${one.triple}\`.

There is no need to install it by hand: ${main.name} names it as an optional dependency, and npm
installs the one for your machine.
`;
}

function write(main) {
  const platforms = main.napi.targets.map(platform);
  const folder = path.join(root, 'platforms');
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder)) {
    if (!platforms.some((one) => one.name === name)) rmSync(path.join(folder, name), { recursive: true });
  }
  for (const one of platforms) {
    mkdirSync(path.join(folder, one.name), { recursive: true });
    writeFileSync(path.join(folder, one.name, 'package.json'), json(manifest(one, main)));
    writeFileSync(path.join(folder, one.name, 'README.md'), readme(one, main));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) write(JSON.parse(readFileSync(packageFile, 'utf8')));
