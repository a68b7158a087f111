// `npm run pack`: makes dist/, the packages of a release, as they are published: the main package,
// and one for each platform with nothing but its addon. The main package names the others as
// optional dependencies of its own version, and loads nothing else. Beside them is a bill of
// materials: what is in the addon.
//
//   npm run pack                           builds the addon of this machine, and packs it
//   npm run pack -- --scope @acme          as @acme/wsbroker, @acme/wsbroker-linux-x64-gnu and so on
//   npm run pack -- --no-build             packs the addons that are there
//   npm run pack -- --all                  fails unless there is an addon for every platform, none of
//                                          them with paths of the machine that it was built on, or
//                                          with a newer glibc than Node needs
//   npm run pack -- --to folder            into another folder
//
// Addons are taken from platforms/<platform>/, where `npm run cross` puts them, and from lib/. One
// that was built for another processor, system or C library than its package names is refused.
//
// WSBROKER_REPOSITORY is the address of the repository, such as https://git.example/acme/wsbroker.
// It fills "repository", "bugs" and "homepage", and links to files that are not packed lead there.
// Without it, they become plain text.
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { mismatch, tooNew } from './pack/format.mjs';
import { packedLinks } from './pack/links.mjs';
import { billOfMaterials } from './notices.mjs';
import { loaderSource, mainManifest, platformsOf, root, scoped } from './packages.mjs';
import { addonFile, json, manifest as platformManifest, platformPackage, readme as platformReadme } from './platforms.mjs';

const windows = process.platform === 'win32';
/** What only a clone needs. */
const OF_A_CLONE = ['scripts', 'devDependencies', 'workspaces', 'private'];

/**
 * Makes the packages and returns their archives, in the order in which they are to be published:
 * the main package is the last, since it names the others.
 *
 * @param {{ to: string, scope?: string, repository?: string, all?: boolean, addonOf?: typeof addonOf }} options
 */
export function packRelease({ to, scope, repository, all = false, addonOf: find = addonOf }) {
  const main = scoped({ ...mainManifest(), ...repositoryFields(repository) }, scope);
  if (scope !== undefined) main.publishConfig = { ...main.publishConfig, access: 'public' };
  const found = platformsOf(main).map((one) => ({ ...one, addon: find(main, one) }));
  const missing = found.filter(({ addon }) => addon === undefined).map(({ name }) => name);
  if (all && missing.length > 0) throw new Error(`no addon for ${missing.join(', ')}: each is expected in platforms/<platform>/ or lib/`);
  const platforms = found.filter(({ addon }) => addon !== undefined);
  const wrong = platforms.map((one) => [one, mismatch(one, one.addon) ?? (all ? tooNew(one, one.addon) : undefined)]).filter(([, problem]) => problem !== undefined);
  if (wrong.length > 0) throw new Error(wrong.map(([one, problem]) => `the addon for ${one.name}, ${path.relative(root, one.addon)}, ${problem}: build it again`).join('; '));
  const personal = all ? platforms.filter(({ addon }) => REGISTRY.test(readFileSync(addon, 'latin1'))).map(({ name }) => name) : [];
  if (personal.length > 0) throw new Error(`the addon for ${personal.join(', ')} has paths of the machine that it was built on: build it for release, with the flags of scripts/path-flags.mjs`);
  if (platforms.length === 0) throw new Error('there is no addon to pack: run npm run build');
  main.optionalDependencies = Object.fromEntries(platforms.map((one) => [platformPackage(main, one), main.version]));

  const stage = mkdtempSync(path.join(tmpdir(), 'wsbroker-pack-'));
  try {
    rmSync(to, { recursive: true, force: true });
    mkdirSync(to, { recursive: true });
    return [...platforms.map((one) => packPlatform(one, main, stage, to)), packMain(main, repository, stage, to)];
  } finally {
    rmSync(stage, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Where cargo keeps crates on the machine that builds; replaced in a release. */
const REGISTRY = /\.cargo[/\\]registry[/\\]src/;

function repositoryFields(repository) {
  if (repository === undefined) return {};
  const url = new URL(repository).href.replace(/(\.git)?\/*$/, '');
  return { repository: { type: 'git', url: `git+${url}.git` }, bugs: { url: `${url}/issues` }, homepage: `${url}#readme` };
}

/**
 * The addon for a platform, if there is one. Of two it is the newer: the other may be of older sources.
 */
export function addonOf(main, one, places = [path.join(root, 'platforms', one.name), path.join(root, 'lib')]) {
  const built = ({ mtimeMs }) => mtimeMs;
  const found = places.map((place) => path.join(place, addonFile(main, one))).filter((addon) => existsSync(addon));
  return found.sort((a, b) => built(statSync(b)) - built(statSync(a)))[0];
}

function packPlatform(one, main, stage, to) {
  const folder = path.join(stage, one.name);
  mkdirSync(folder);
  writeFileSync(path.join(folder, 'package.json'), json(platformManifest(one, main)));
  writeFileSync(path.join(folder, 'README.md'), platformReadme(one, main));
  for (const file of LEGAL) if (existsSync(path.join(root, file))) copyFileSync(path.join(root, file), path.join(folder, file));
  copyFileSync(one.addon, path.join(folder, addonFile(main, one)));
  return npmPack(folder, to);
}

/** The addon has code of others in it, so its package has their notices. */
const LEGAL = ['LICENSE.txt', 'THIRD-PARTY.txt'];

function packMain(main, repository, stage, to) {
  const folder = path.join(stage, 'main');
  const packed = filesOf(main).filter((file) => !file.endsWith('.node'));
  for (const file of packed) {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    cpSync(path.join(root, file), path.join(folder, file));
  }
  const published = Object.fromEntries(Object.entries(main).filter(([key]) => !OF_A_CLONE.includes(key)));
  writeFileSync(path.join(folder, 'package.json'), json(published));
  writeFileSync(path.join(folder, 'lib/native/packages.cjs'), loaderSource(main, { compiled: true }));
  writeFileSync(path.join(folder, 'src/native/packages.cts'), loaderSource(main));
  const base = repository === undefined ? undefined : `${main.homepage.replace(/#readme$/, '')}/blob/v${main.version}`;
  for (const file of packed.filter((name) => name.endsWith('.md'))) {
    const text = readFileSync(path.join(folder, file), 'utf8');
    writeFileSync(path.join(folder, file), packedLinks(text, file, packed, base));
  }
  return npmPack(folder, to);
}

/** What "files" of package.json names, and what npm packs always. Tested against npm's own list. */
export function filesOf({ files }) {
  const patterns = [...files, 'package.json', 'README.md', 'LICENSE.txt'].map((pattern) => {
    const steps = pattern.split('/').map((step) => (step === '**' ? '.*' : step.replace(/[.]/g, '\\.').replace(/\*/g, '[^/]*')));
    return new RegExp(`^${steps.join('/')}(/|$)`);
  });
  const tops = new Set([...files, 'package.json', 'README.md', 'LICENSE.txt'].map((pattern) => pattern.split('/')[0]));
  const below = (file) => {
    if (!statSync(path.join(root, file)).isDirectory()) return [file];
    return readdirSync(path.join(root, file)).filter((name) => !NEVER.test(name)).sort().flatMap((name) => below(`${file}/${name}`));
  };
  return [...tops].filter((top) => existsSync(path.join(root, top))).flatMap(below).filter((file) => patterns.some((pattern) => pattern.test(file)));
}

/** Folders that are large, and files that npm leaves out. */
const NEVER = /^(node_modules|target|\.(?!well-known).*)$/;

function npmPack(folder, to) {
  const [{ filename }] = JSON.parse(npm(['pack', '--json', '--ignore-scripts', '--pack-destination', to], folder));
  // Some versions of npm give the name of a scoped package here, with its slash.
  return path.join(to, filename.replace(/^@/, '').replace('/', '-'));
}

function npm(args, cwd) {
  const { status, stdout, stderr, error } = spawnSync('npm', args, { cwd, encoding: 'utf8', shell: windows, maxBuffer: 2 ** 26 });
  if (status !== 0) throw new Error(`npm ${args.join(' ')} failed: ${error?.message ?? stderr}`);
  return stdout;
}

/** What is in the addon, in the format CycloneDX. */
const BILL = 'bill-of-materials.cdx.json';

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { scope: { type: 'string' }, 'no-build': { type: 'boolean' }, all: { type: 'boolean' }, to: { type: 'string' } },
  });
  const to = path.resolve(values.to ?? path.join(root, 'dist'));
  // Its files are replaced by the packages.
  const others = existsSync(to) ? readdirSync(to).filter((name) => !name.endsWith('.tgz') && name !== BILL) : [];
  if (others.length > 0) fail(`${to} holds other files than packages (${others[0]} …): name an empty folder`);
  if (!values['no-build']) {
    const { status } = spawnSync(process.execPath, ['scripts/build.mjs'], { cwd: root, stdio: 'inherit' });
    if (status !== 0) process.exit(status ?? 1);
  }
  const repository = process.env.WSBROKER_REPOSITORY || undefined;
  try {
    for (const archive of packRelease({ to, repository, scope: values.scope, all: values.all })) console.log(path.relative(process.cwd(), archive));
  } catch (error) {
    fail(error.message);
  }
  writeFileSync(path.join(to, BILL), json(billOfMaterials()));
  if (repository === undefined) console.log('WSBROKER_REPOSITORY is not set: the packages name no repository');
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
