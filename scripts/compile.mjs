// Compiles src/ to lib/, and then bundles the modules that threads always load into two files:
//
//   lib/merged.cjs          what every thread needs
//   lib/merged-serving.cjs  what a thread needs that starts servers
//
// The file of each of these modules is one line then, which gets its exports from there. Forty files
// are resolved with so many steps that the engine optimizes the code for paths: its compiler alone
// takes 3 MiB. docs/design/speed.md has the figures.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const lib = path.join(root, 'lib');

/** Loaded first in an application's threads and in those of the pool. They stay files. */
const ENTRIES = ['index.cjs', 'pool/thread.cjs'];
const SERVING = 'server/serving.cjs';
/** The scripts that pack a release write this file anew. */
const APART = ['native/packages.cjs'];

const MERGED = 'merged.cjs';
const MERGED_SERVING = 'merged-serving.cjs';

export async function compile() {
  const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const { status, error } = spawnSync(process.execPath, [tsc, '-p', '.', '--noEmit', 'false'], { cwd: root, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
  await merge();
}

async function merge() {
  const everywhere = closure(ENTRIES, ENTRIES);
  const serving = closure([SERVING], [...ENTRIES, ...everywhere]);
  /** Of each module that is bundled: in which file. */
  const place = new Map([...everywhere.map((file) => [file, MERGED]), ...serving.map((file) => [file, MERGED_SERVING])]);
  const made = await Promise.all([
    bundle(MERGED, everywhere, place),
    bundle(MERGED_SERVING, serving, place),
    ...ENTRIES.map((file) => linked(file, place)),
  ]);
  for (const [file, merged] of place) made.push([file, `"use strict";\nmodule.exports = ${exportsOf(file, merged, file)};\n`]);
  for (const [file, text] of made) writeFileSync(path.join(lib, file), text);
}

/** These and what they load as soon as they are loaded, without `others`. */
function closure(entries, others) {
  const found = new Set(entries);
  for (const file of found) {
    for (const next of loadedWith(file)) if (!others.includes(next) && !APART.includes(next)) found.add(next);
  }
  return [...found].filter((file) => !others.includes(file)).sort();
}

/** What tsc's `require` of a whole line at the top of a file names. */
const TOP = /^(?:(?:const|var|let) [\w{}, ]+ = )?require\((["'])(\.{1,2}\/[^"']+\.cjs)\1\);$/gm;
const loadedWith = (file) => [...source(file).matchAll(TOP)].map(([, , id]) => path.posix.join(path.posix.dirname(file), id));
const source = (file) => readFileSync(path.join(lib, file), 'utf8');

/** A file that has these modules, and exports a function that loads one of them by its name. */
async function bundle(name, files, place) {
  const entries = files.map((file) => `${JSON.stringify(file)}: () => require("./${file}"),`);
  const contents = `const modules = { __proto__: null, ${entries.join('\n')} };\nmodule.exports = (file) => modules[file]();`;
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: lib, sourcefile: name, loader: 'js' },
    bundle: true,
    write: false,
    format: 'cjs',
    platform: 'node',
    target: 'es2022',
    // Of a source with other characters the engine keeps two bytes for each.
    charset: 'ascii',
    legalComments: 'none',
    absWorkingDir: lib,
    banner: { js: '// Made by scripts/compile.mjs from the modules that it names. Do not edit.' },
    logLevel: 'warning',
    plugins: [{ name: 'others', setup: (hooks) => others(hooks, name, place) }],
  });
  return [name, outputFiles[0].text];
}

/** What is not in this bundle: by the other one, or a file of its own. */
function others(hooks, name, place) {
  hooks.onResolve({ filter: /^\.{1,2}\// }, ({ path: id, resolveDir, kind, importer }) => {
    if (importer === 'merged') return { path: id, external: true };
    const file = path.relative(lib, path.join(resolveDir, id)).split(path.sep).join('/');
    const merged = kind === 'require-resolve' ? undefined : place.get(file);
    if (merged === name) return undefined;
    return merged === MERGED ? { path: file, namespace: 'merged' } : { path: `./${file}`, external: true };
  });
  hooks.onLoad({ filter: /.*/, namespace: 'merged' }, ({ path: file }) => ({ contents: `module.exports = ${exportsOf(file, MERGED, name)};`, resolveDir: lib }));
}

const REQUIRE = /\brequire\(["'](\.{1,2}\/[\w./-]+\.cjs)["']\)/g;

/** An entry, with its modules by the bundle. */
async function linked(entry, place) {
  const text = source(entry).replace(REQUIRE, (whole, id) => {
    const file = path.posix.join(path.posix.dirname(entry), id);
    return place.has(file) ? exportsOf(file, place.get(file), entry) : whole;
  });
  return [entry, text];
}

/** An expression in `from`: the exports of a module that is bundled. */
function exportsOf(file, merged, from) {
  const found = path.posix.relative(path.posix.dirname(from), merged);
  return `require("${found.startsWith('.') ? found : `./${found}`}")("${file}")`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await compile();
