// Writes platforms/<target>/: one npm package for each target, with nothing but the addon for it.
// The packages come from the list of targets in package.json, so that neither names nor versions
// can diverge. `npm test` checks that they are current.
//
// `node scripts/platforms.mjs --release` also writes the packages into optionalDependencies of
// package.json, and keeps the addon of this machine out of the main package. Use it for a release
// only: before the packages are published, nothing may depend on their names.
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

const json = (value) => JSON.stringify(value, null, 2) + '\n';

export function manifest({ name, os, cpu, libc, title }, main) {
  const file = `${main.name}.${name}.node`;
  return {
    name: `${main.name}-${name}`,
    version: main.version,
    description: `The addon of ${main.name} for ${title}`,
    license: main.license,
    ...(main.repository ? { repository: main.repository } : {}),
    engines: main.engines,
    os: [os],
    cpu: [cpu],
    ...(libc ? { libc: [libc] } : {}),
    main: file,
    files: [file],
  };
}

export function readme({ name, title, triple }, main) {
  return `# ${main.name}-${name}

The compiled part of [${main.name}](https://www.npmjs.com/package/${main.name}) for ${title}, Rust target \`${triple}\`.

There is no need to install it by hand: \`npm install ${main.name}\` picks the one for your machine.
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
  return platforms;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const main = JSON.parse(readFileSync(packageFile, 'utf8'));
  const platforms = write(main);
  if (process.argv.includes('--release')) {
    // These packages contain the addon, so the main package does not. Packed from a clone, the main
    // package does, and works on that kind of machine by itself.
    if (!main.files.includes('!lib/*.node')) main.files.splice(main.files.indexOf('lib') + 1, 0, '!lib/*.node');
    main.optionalDependencies = Object.fromEntries(platforms.map(({ name }) => [`${main.name}-${name}`, main.version]));
    writeFileSync(packageFile, json(main));
  }
}
