// Releases: what is published is built on other machines, by .github/workflows/release.yml.
//
//   npm run release -- --scope @acme    starts it. It publishes, unless a step fails
//   npm run dryrun -- --scope @acme     starts it without the upload
//   npm run dryrun -- --local           the same for the platform of this machine, here: builds, packs,
//                                       installs the packages into an empty folder, runs the chat
//                                       from there, and lets npm check what it would upload. Takes
//                                       --no-build and --scope as npm run pack does
//
// The steps of the workflow, by themselves:
//
//   node scripts/release.mjs --notes           the section of CHANGELOG.md for this version
//   node scripts/release.mjs --try FOLDER      installs the packages in it, and runs the chat
//   node scripts/release.mjs --upload FOLDER   publishes them, the main package last
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { installPacked, tryChat } from './pack/try-installed.mjs';
import { mainManifest, root } from './packages.mjs';

const windows = process.platform === 'win32';
const WORKFLOW = 'release.yml';

/** The section of CHANGELOG.md for a version, or `undefined`. */
export function notesOf(version, changes = readFileSync(path.join(root, 'CHANGELOG.md'), 'utf8')) {
  const [, ...sections] = changes.replaceAll('\r\n', '\n').split(/^## /m);
  const found = sections.find((section) => section.split(/\s/, 1)[0] === version);
  return found?.slice(found.indexOf('\n')).trim();
}

/** The packages in a folder: those of the platforms, then the main one, which names them. */
export function archivesIn(folder, version = mainManifest().version) {
  const names = readdirSync(folder).filter((name) => name.endsWith(`-${version}.tgz`)).sort();
  const main = names.filter((name) => names.every((other) => other.startsWith(name.slice(0, -`-${version}.tgz`.length))));
  if (main.length !== 1 || names.length < 2) throw new Error(`${folder} must hold the packages of version ${version}, the main one and those of its platforms; it holds ${names.join(', ') || 'none'}`);
  return [...names.filter((name) => name !== main[0]), main[0]].map((name) => path.resolve(folder, name));
}

/** Why this clone cannot be released as it is. */
export function obstacles({ version, notes, changed, branch, tags }) {
  return [
    ...(notes ? [] : [`CHANGELOG.md has no section "## ${version}": rename "Unreleased"`]),
    ...(changed === '' ? [] : ['there are changes that are not committed']),
    ...(branch === 'main' ? [] : [`the branch is ${branch}, not main`]),
    ...(tags.includes(`v${version}`) ? [`v${version} is released: raise the version in package.json and Cargo.toml`] : []),
  ];
}

/** Installs the packages for this machine into an empty folder, and lets two clients talk in the chat. */
async function tryPackages(folder) {
  const archives = archivesIn(folder);
  const { platformTarget } = createRequire(import.meta.url)('../lib/native/target.cjs');
  const fits = archives.slice(0, -1).filter((file) => path.basename(file).includes(`-${platformTarget()}-`));
  if (fits.length !== 1) throw new Error(`${folder} has no package for ${platformTarget()}`);
  const where = mkdtempSync(path.join(tmpdir(), 'wsbroker-try-'));
  try {
    const installed = installPacked(where, [...fits, archives.at(-1)]);
    // Nodes before 22 have no client of their own.
    const WebSocket = globalThis.WebSocket ?? createRequire(import.meta.url)('ws');
    await tryChat(installed, { WebSocket });
    console.log(`${path.basename(archives.at(-1))}: installed with ${path.basename(fits[0])}, and two clients talk in its chat`);
  } finally {
    rmSync(where, { recursive: true, force: true, maxRetries: 5 });
  }
}

function upload(folder, { dry = false } = {}) {
  for (const archive of archivesIn(folder)) {
    // What a failed run has published stays, and is no error when it is repeated.
    if (!dry && isPublished(archive)) console.log(`${path.basename(archive)} is published`);
    else must('npm', ['publish', archive, ...(dry ? ['--dry-run', '--tag', 'dryrun'] : ['--provenance'])]);
  }
}

function isPublished(archive) {
  const [{ name, version }] = JSON.parse(spawnSync('npm', ['pack', archive, '--dry-run', '--json'], { encoding: 'utf8', shell: windows }).stdout);
  return spawnSync('npm', ['view', `${name}@${version}`, 'version'], { encoding: 'utf8', shell: windows }).stdout.trim() === version;
}

function must(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', shell: windows && command === 'npm' });
  if (error?.code === 'ENOENT') throw new Error(`${command} is missing`);
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed`);
}

const git = (...args) => spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout.trim();

async function run() {
  const { values } = parseArgs({
    options: {
      dry: { type: 'boolean' },
      local: { type: 'boolean' },
      'no-build': { type: 'boolean' },
      scope: { type: 'string' },
      notes: { type: 'boolean' },
      try: { type: 'string' },
      upload: { type: 'string' },
    },
  });
  const { version } = mainManifest();
  if (values.notes) return console.log(notesOf(version) ?? notesOf('Unreleased'));
  if (values.try !== undefined) return tryPackages(values.try);
  if (values.upload !== undefined) return upload(values.upload);
  if (values.local) {
    if (!values.dry) throw new Error('--local is for npm run dryrun: what is published is built for all platforms');
    must(process.execPath, ['scripts/pack.mjs', ...(values['no-build'] ? ['--no-build'] : []), ...(values.scope ? ['--scope', values.scope] : [])]);
    const dist = path.join(root, 'dist');
    await tryPackages(dist);
    upload(dist, { dry: true });
    return console.log(`all but the upload of version ${version} works on this machine`);
  }
  const found = obstacles({
    version,
    notes: notesOf(version),
    changed: git('status', '--porcelain'),
    branch: git('rev-parse', '--abbrev-ref', 'HEAD'),
    tags: git('tag').split('\n'),
  });
  if (!values.dry && found.length > 0) throw new Error(`not released: ${found.join('; ')}`);
  // GitHub's own program, which knows the repository and who you are.
  must('gh', ['workflow', 'run', WORKFLOW, '--ref', 'main', '--field', `publish=${!values.dry}`, ...(values.scope ? ['--field', `scope=${values.scope}`] : [])]);
  console.log('started; `gh run watch` follows it');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await run().catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
