// `npm run notices`: writes THIRD-PARTY.txt, the licenses of the code of others that the addon
// contains. Each package of a release has it. `npm test` checks that it is current.
//
// It lists the crates that are linked into the addon on any of the targets in package.json. What
// only builds or tests it (macros, build scripts) is not in it.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { mainManifest, root } from './packages.mjs';

const FILE = path.join(root, 'THIRD-PARTY.txt');
const LICENSE_FILE = /^(licen[sc]e|unlicense|copying|copyright|notice)([-._].*)?$/i;

/** The text of a license for the crates that have none in their archive. */
const MIT = (holders) => readFileSync(path.join(root, 'scripts/pack/mit.txt'), 'utf8').trim().replace('<holders>', holders);

/** The crates in the addon, on any of the targets, sorted by name and version. */
export function linkedCrates() {
  const platforms = mainManifest().napi.targets.flatMap((target) => ['--filter-platform', target]);
  const { status, stdout, stderr, error } = spawnSync('cargo', ['metadata', '--format-version=1', '--locked', ...platforms], { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 28 });
  if (status !== 0) throw new Error(`cargo metadata failed: ${error?.message ?? stderr}`);
  const { packages, resolve } = JSON.parse(stdout);
  const byId = new Map(packages.map((one) => [one.id, one]));
  const nodes = new Map(resolve.nodes.map((one) => [one.id, one]));
  const found = new Set();
  const visit = (id) => {
    const isMacro = byId.get(id).targets.some(({ kind }) => kind.includes('proc-macro'));
    if (found.has(id) || isMacro) return;
    found.add(id);
    for (const { pkg, dep_kinds: kinds } of nodes.get(id).deps) if (kinds.some(({ kind }) => kind === null)) visit(pkg);
  };
  visit(packages.find(({ name, source }) => name === 'wsbroker' && source === null).id);
  return [...found].map((id) => byId.get(id)).filter(({ source }) => source !== null)
    .sort((a, b) => (a.name === b.name ? (a.version < b.version ? -1 : 1) : a.name < b.name ? -1 : 1));
}

/**
 * The texts that come with a crate. Of alternatives it is MIT, if the crate offers it and has a
 * text for it; otherwise everything that is there.
 */
function licenseTexts({ name, version, license, authors, manifest_path: manifest }) {
  const folder = path.dirname(manifest);
  const files = readdirSync(folder).filter((file) => LICENSE_FILE.test(file)).sort();
  const expression = license?.replaceAll('/', ' OR ') ?? '';
  const mit = files.filter((file) => /mit/i.test(file));
  const chosen = !/\bAND\b/.test(expression) && /\bMIT\b/.test(expression) && mit.length > 0 ? [...mit, ...files.filter((file) => /^notice/i.test(file))] : files;
  const texts = chosen.map((file) => readFileSync(path.join(folder, file), 'utf8').replaceAll('\r\n', '\n').replace(/[ \t]+$/gm, '').trim());
  if (texts.length > 0) return texts;
  if (!/\bMIT\b/.test(expression)) throw new Error(`${name} ${version} (${license}) has no license text: add one to scripts/notices.mjs`);
  return [MIT(authors.length > 0 ? authors.map((one) => one.replace(/ <.*>$/, '')).join(', ') : `the authors of ${name}`)];
}

/** What THIRD-PARTY.txt is to contain. */
export function notices() {
  const crates = linkedCrates();
  /** Crates by the text of their license. */
  const byText = new Map();
  for (const crate of crates) {
    for (const text of licenseTexts(crate)) byText.set(text, [...(byText.get(text) ?? []), `${crate.name} ${crate.version}`]);
  }
  const rule = '-'.repeat(100);
  const list = crates.map(({ name, version, license, repository }) => `${name} ${version}, ${license?.replaceAll('/', ' OR ')}${repository ? `, ${repository}` : ''}`);
  const texts = [...byText].map(([text, users]) => `${rule}\n${wrapped(users)}\n${rule}\n\n${text}\n`);
  return `The addon of ${mainManifest().name} contains code of these Rust crates, and of Rust's standard library
(MIT OR Apache-2.0, https://github.com/rust-lang/rust). Their licenses are below.

${list.join('\n')}

${texts.join('\n')}`;
}

/** The bill of materials of the addon: what `npm run pack` puts beside the packages. */
export function billOfMaterials() {
  const main = mainManifest();
  const components = linkedCrates().map(({ name, version, license }) => ({
    type: 'library',
    name,
    version,
    purl: `pkg:cargo/${name}@${version}`,
    ...(license ? { licenses: [{ expression: license.replaceAll('/', ' OR ') }] } : {}),
  }));
  const component = { type: 'library', name: main.name, version: main.version, licenses: [{ expression: main.license }] };
  return { bomFormat: 'CycloneDX', specVersion: '1.6', version: 1, metadata: { component }, components };
}

/** Lines of at most 100 columns, with the version of a crate on the line of its name. */
function wrapped(names) {
  const lines = [];
  for (const name of names) {
    const longer = lines.length > 0 ? `${lines.at(-1)}, ${name}` : name;
    if (longer.length < 100 && lines.length > 0) lines[lines.length - 1] = longer;
    else lines.push(name);
  }
  return lines.join(',\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(FILE, notices());
