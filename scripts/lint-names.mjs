// One name, one thing: a type that more than its own file can see has a name that nothing else has.
//
// Rust: every `struct`, `enum`, `trait`, `type` and `union` of the library crates that is `pub`,
// `pub(…)` or used by a module below its own. A type that only its own file sees may share its name
// with another such type, but not with a type that others see. The load generator is held to the
// same rule within itself. TypeScript: every exported type, interface, class and enum of `src/`;
// `native.cts` is apart, since it repeats what the addon calls its own.
//
//   node scripts/lint-names.mjs            fails if a name is declared twice
//   node scripts/lint-names.mjs --report   shows all of them, also what is allowed, and never fails
//
// The report also lists files of one name. Some of them are one subject in two layers; others should
// be named after what they are about.

import { filesBelow, itemsOnly, LIBRARY_CRATES, lineAt, LOAD_CRATE, read, rustCode, rustFiles } from './lint/sources.mjs';

/** Names that are still declared twice. This list may only become shorter. */
const KNOWN = new Set([]);

/** The folder in which the modules below this one lie. */
const folderOf = (file) => file.replace(/\/(mod|lib|main)\.rs$/, '/').replace(/\.rs$/, '/');

function rustTypes(crates) {
  const sources = crates.flatMap((crate) => rustFiles(crate)).map((file) => ({ file, code: rustCode(file) }));
  const declaration = /(?<=^|[\s;}\]])(pub(?:\s*\([^)]*\))?\s+)?(?:unsafe\s+)?(?:struct|enum|trait|type|union)\s+([A-Z]\w*)/g;
  return sources.flatMap(({ file, code }) => {
    const folder = folderOf(file);
    const below = sources.filter((other) => other.file !== file && other.file.startsWith(folder));
    const takenBelow = (name) =>
      below.some(({ code: other }) => {
        if (!new RegExp(`\\b${name}\\b`).test(other)) return false;
        return new RegExp(`super::(?:[^;]*\\b${name}\\b|\\*)`).test(other);
      });
    const seen = new Set();
    return [...itemsOnly(code).matchAll(declaration)].flatMap(([, visibility, name], index, all) => {
      // Two of one name in one file are one type for two systems, chosen by `cfg`.
      if (seen.has(name)) return [];
      seen.add(name);
      return [{ name, file, line: lineAt(code, all[index].index), shared: visibility !== undefined || takenBelow(name) }];
    });
  });
}

function typescriptTypes() {
  const declaration = /^(export\s+)?(?:declare\s+)?(?:abstract\s+)?(?:type|interface|class|enum)\s+([A-Z]\w*)/gm;
  return filesBelow('src', /\.[cm]ts$/)
    .filter((file) => file !== 'src/native.cts')
    .flatMap((file) => {
      const code = read(file);
      const exports = [...code.matchAll(/export\s+(?:type\s+)?\{([^}]*)\}(?!\s*from)/g)].flatMap(([, names]) => names.split(',').map((name) => name.trim()));
      return [...code.matchAll(declaration)].map((match) => ({
        name: match[2],
        file,
        line: lineAt(code, match.index),
        shared: match[1] !== undefined || exports.includes(match[2]),
      }));
    });
}

/** The names that are declared more than once, with all their declarations. */
function repeated(types) {
  const byName = new Map();
  for (const type of types) byName.set(type.name, [...(byName.get(type.name) ?? []), type]);
  return [...byName].filter(([, all]) => all.length > 1).sort(([a], [b]) => (a < b ? -1 : 1));
}

const report = process.argv.includes('--report');
let wrong = 0;
const found = [];
for (const [where, types] of [
  ['the library crates', rustTypes(LIBRARY_CRATES)],
  [`crates/${LOAD_CRATE}`, rustTypes([LOAD_CRATE])],
  ['src/', typescriptTypes()],
]) {
  const all = repeated(types);
  const names = all.filter(([, places]) => places.some(({ shared }) => shared));
  found.push(...names);
  const isNew = names.filter(([name]) => !KNOWN.has(name));
  console.log(`${where}: ${types.length} types, ${names.length} names declared more than once`);
  for (const [name, places] of report ? names : isNew) {
    console.log(`  ${name}`);
    for (const { file, line, shared } of places) console.log(`    ${file}:${line}${shared ? '' : ' (only in its file)'}`);
  }
  const allowed = all.filter((entry) => !names.includes(entry)).map(([name, places]) => `${name} (${places.length})`);
  if (report && allowed.length > 0) console.log(`  allowed, each within its file: ${allowed.join(', ')}`);
  wrong += isNew.length;
}
if (wrong > 0) console.log('Two things must not have one name: name the type after what it is about.');

if (report) {
  const files = [...LIBRARY_CRATES.flatMap(rustFiles), ...filesBelow('src', /\.[cm]ts$/)];
  const nameOf = (file) => file.slice(file.lastIndexOf('/') + 1);
  const ofOneName = files.filter((file) => !/\/(mod|lib)\.rs$/.test(file) && files.some((other) => other !== file && nameOf(other) === nameOf(file)));
  console.log(`files that share their name: ${ofOneName.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1)).join(' ') || 'none'}`);
}

// A name that is no longer declared twice must not come back.
const all = new Set(found.map(([name]) => name));
for (const name of KNOWN) {
  if (all.has(name)) continue;
  console.log(`${name} is declared once now: take it out of KNOWN`);
  wrong += 1;
}
process.exit(wrong > 0 && !report ? 1 : 0);
