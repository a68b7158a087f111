// Compiles src/ to lib/, and then merges the modules that threads always load into two files:
//
//   lib/merged.cjs          what every thread needs
//   lib/merged-serving.cjs  what a thread needs that starts servers
//
// Each of these modules becomes a function there, and its own file in lib/ one line that gets its
// exports from there. Forty files are resolved with so many steps that the engine optimizes the code
// for paths: its compiler alone takes 3 MiB. docs/design/speed.md has the figures.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { transformSync } from 'esbuild';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const lib = path.join(root, 'lib');

/** Loaded first in an application's threads and in those of the pool. They stay files. */
const ENTRIES = ['index.cjs', 'pool/thread.cjs'];
const SERVING = 'server/serving.cjs';
/** The scripts that pack a release write this file anew. */
const APART = ['native/packages.cjs'];

/** Of a file of lib/: modules that it requires as soon as it is loaded, by their paths in lib/. */
const loadedWith = (file) =>
  [...source(file).matchAll(/^(?:(?:const|var|let) [\w{}, ]+ = )?require\((["'])(\.{1,2}\/[^"']+\.cjs)\1\);$/gm)].map(([, , id]) => resolved(file, id));
const resolved = (file, id) => path.posix.join(path.posix.dirname(file), id);
const source = (file) => readFileSync(path.join(lib, file), 'utf8');

export function compile() {
  const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const { status, error } = spawnSync(process.execPath, [tsc, '-p', '.', '--noEmit', 'false'], { cwd: root, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
  merge();
}

function merge() {
  const everywhere = closure(ENTRIES, []);
  const serving = closure([SERVING], everywhere);
  serving.push(SERVING);
  const place = new Map([...everywhere.map((file) => [file, 'merged.cjs']), ...serving.map((file) => [file, 'merged-serving.cjs'])]);
  // Read before any is replaced.
  const files = [
    ['merged.cjs', `"use strict";\n${MADE}${LOADER}define({\n${functions(everywhere, place)}});\n`],
    ['merged-serving.cjs', `"use strict";\n${MADE}const requireMerged = require("./merged.cjs");\nmodule.exports = requireMerged;\nrequireMerged.define({\n${functions(serving, place)}});\n`],
    ...ENTRIES.map((file) => [file, source(file).replace(REQUIRE, (_, resolve, id) => fromMerged(resolve, resolved(file, id), file, place))]),
    ...[...place].map(([file, merged]) => [file, `"use strict";\nmodule.exports = require("${relative(file, merged)}")("${file}");\n`]),
  ];
  for (const [file, text] of files) writeFileSync(path.join(lib, file), text);
}

const MADE = '// Made from the modules that it names by scripts/compile.mjs. Do not edit.\n';
const LOADER = `const modules = { __proto__: null };
const loaded = { __proto__: null };
function requireMerged(name) {
    let module = loaded[name];
    if (module === undefined) {
        module = loaded[name] = { exports: {} };
        try {
            modules[name](module.exports);
        }
        catch (error) {
            delete loaded[name];
            throw error;
        }
    }
    return module.exports;
}
function define(more) {
    Object.assign(modules, more);
}
requireMerged.define = define;
module.exports = requireMerged;
`;

/** What these load in turn, without them and without `before`. */
function closure(entries, before) {
  const found = new Set(entries);
  for (const file of found) {
    for (const next of loadedWith(file)) if (!before.includes(next) && !APART.includes(next)) found.add(next);
  }
  return [...found].filter((file) => !entries.includes(file)).sort();
}

const REQUIRE = /\brequire(\.resolve)?\(["'](\.{1,2}\/[\w./-]+\.(?:cjs|node))["']\)/g;

/** The modules as functions. Parentheses make the engine compile them at once. */
function functions(files, place) {
  return files
    .map((file) => {
      if (/^module\.exports\b/m.test(source(file))) throw new Error(`lib/${file} cannot be merged: it replaces its exports`);
      // In ASCII: of a source with other characters the engine keeps two bytes for each.
      const { code } = transformSync(source(file), { loader: 'js', target: 'es2022', legalComments: 'none' });
      const body = code.replace(REQUIRE, (_, resolve, id) => fromMerged(resolve, resolved(file, id), 'merged.cjs', place, true));
      return `"${file}": (function (exports) {\n${body}}),\n`;
    })
    .join('');
}

/** The same requirement, from `to`. */
function fromMerged(resolve, file, to, place, inside = false) {
  const merged = place.get(file);
  if (resolve === undefined && merged !== undefined && (!inside || file !== SERVING)) {
    return inside ? `requireMerged("${file}")` : `require("${relative(to, merged)}")("${file}")`;
  }
  return `require${resolve ?? ''}("${relative(to, file)}")`;
}

function relative(from, to) {
  const found = path.posix.relative(path.posix.dirname(from), to);
  return found.startsWith('.') ? found : `./${found}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) compile();
