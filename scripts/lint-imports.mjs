// How tangled the imports are: files that import one another in a circle can only be read together.
//
// For each crate, the arrows between its files: a file that names something by `crate::` or
// `super::` points to the file that declares it, through any `pub use` on the way. That a module
// uses modules of its own does not count; that is what it declares them for. Tests do not count.
// For `src/`, an arrow is an import, of a type too.
//
//   circle    the files of the largest circle (a strongly connected component): each of them
//             reaches each other one
//   arrows    the imports between files of that circle
//   upward    the arrows that go against the best order of those files that was found: without them
//             there would be no circle. The order is found by moving one file at a time for as long
//             as that helps, always in the same way, so the figure is steady but not always the
//             least
//
// The figures in LIMITS may only become smaller.
//
//   node scripts/lint-imports.mjs            fails if a figure is larger than its limit
//   node scripts/lint-imports.mjs --report   shows the circles and the upward arrows, never fails

import path from 'node:path';

import { filesBelow, LIBRARY_CRATES, LOAD_CRATE, read, rustCode, rustFiles } from './lint/sources.mjs';

/** [files of the largest circle, arrows in it, upward arrows in it] */
const LIMITS = {
  wsbroker: [3, 4, 1],
};

/** Each file's module path, as `front::accept`; the root's is empty. */
function modulesOf(crate) {
  const modules = new Map();
  for (const file of rustFiles(crate)) {
    const name = file
      .slice(`crates/${crate}/src/`.length)
      .replace(/(^|\/)(mod|lib|main)\.rs$/, '')
      .replace(/\.rs$/, '')
      .replaceAll('/', '::');
    modules.set(name, file);
  }
  return modules;
}

/** Splits at commas that are in no braces. */
function splitList(text) {
  const parts = [''];
  let depth = 0;
  for (const character of text) {
    if (character === '{') depth++;
    if (character === '}') depth--;
    if (character === ',' && depth === 0) parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts.map((part) => part.trim()).filter((part) => part !== '');
}

/** `a::{b, c::{d, e as f}}` as [['a', 'b'], ['a', 'c', 'd'], …], with the name each is known by. */
function unfold(tree, before = []) {
  const brace = tree.indexOf('{');
  if (brace < 0) {
    const [full, alias] = tree.split(/\s+as\s+/);
    const segments = [...before, ...full.split('::').map((segment) => segment.trim()).filter((segment) => segment !== '')];
    if (segments.at(-1) === 'self') segments.pop();
    return [{ segments, name: alias?.trim() ?? segments.at(-1) }];
  }
  const head = tree.slice(0, brace).split('::').map((segment) => segment.trim()).filter((segment) => segment !== '');
  return splitList(tree.slice(brace + 1, tree.lastIndexOf('}'))).flatMap((part) => unfold(part, [...before, ...head]));
}

function rustArrows(crate) {
  const modules = modulesOf(crate);
  const parsed = new Map();
  for (const [module, file] of modules) {
    const code = rustCode(file);
    const uses = [...code.matchAll(/(?<=^|[\s;}])(pub(?:\s*\([^)]*\))?\s+)?use\s+([^;]+);/g)].flatMap((match) =>
      unfold(match[2].replace(/\s+/g, ' ')).map((use) => ({ ...use, exported: match[1] !== undefined })),
    );
    // Paths that are written out where they are used.
    const inline = [...code.replace(/(?<=^|[\s;}])use\s+[^;]+;/g, '').matchAll(/(?<![\w:])((?:crate|super)(?:::\w+)+)/g)]
      .filter((match) => !/pub\s*\((?:in\s+)?$/.test(code.slice(Math.max(0, match.index - 10), match.index)))
      .map((match) => ({ segments: match[1].split('::'), exported: false }));
    parsed.set(module, { uses, inline });
  }

  /** A path as seen from `module`, from the root of the crate; undefined if it leads elsewhere. */
  function absolute(module, segments) {
    const at = module === '' ? [] : module.split('::');
    if (segments[0] === 'crate') return segments.slice(1);
    let rest = segments;
    if (rest[0] === 'self') rest = rest.slice(1);
    else if (rest[0] !== 'super') return modules.has([...at, rest[0]].join('::')) ? [...at, ...rest] : undefined;
    while (rest[0] === 'super') {
      if (at.length === 0) return undefined;
      at.pop();
      rest = rest.slice(1);
    }
    return [...at, ...rest];
  }

  /**
   * The modules that a path from the root leads to: one, or for `*` what its module re-exports too.
   */
  function resolve(full, depth = 0) {
    let length = full.length;
    while (length > 0 && !modules.has(full.slice(0, length).join('::'))) length--;
    const module = full.slice(0, length).join('::');
    const name = full[length];
    if (name === undefined || name === '*' || depth > 8) return module;
    const through = parsed.get(module).uses.find((use) => use.name === name);
    const next = through && absolute(module, through.segments);
    return next === undefined ? module : resolve([...next, ...full.slice(length + 1)], depth + 1);
  }

  const arrows = new Map([...modules.values()].map((file) => [file, new Set()]));
  for (const [module, { uses, inline }] of parsed) {
    for (const { segments } of [...uses, ...inline]) {
      if (segments[0] !== 'crate' && segments[0] !== 'super') continue;
      const full = absolute(module, segments);
      if (full === undefined) continue;
      const to = resolve(full);
      const below = module === '' || to === module || to.startsWith(`${module}::`);
      if (!below) arrows.get(modules.get(module)).add(modules.get(to));
    }
  }
  return arrows;
}

function typescriptArrows() {
  const files = filesBelow('src', /\.[cm]ts$/);
  return new Map(
    files.map((file) => {
      const code = withoutTypescriptComments(read(file));
      const found = [...code.matchAll(/(?:from\s+|\bimport\s*\(\s*|\brequire\s*\(\s*|\bimport\s+)'(\.[^']+)'/g)]
        .map((match) => path.posix.join(path.posix.dirname(file), match[1]).replace(/js$/, 'ts'))
        .filter((to) => to !== file && files.includes(to));
      return [file, new Set(found)];
    }),
  );
}

const withoutTypescriptComments = (text) => text.replace(/^\s*\/\/.*$|\/\*[\s\S]*?\*\//gm, '');

/** The largest strongly connected component, by Tarjan's algorithm. */
function largestCircle(arrows) {
  const index = new Map();
  const low = new Map();
  const stack = [];
  let largest = [];
  const visit = (file) => {
    index.set(file, index.size);
    low.set(file, index.get(file));
    stack.push(file);
    for (const to of arrows.get(file)) {
      if (!index.has(to)) {
        visit(to);
        low.set(file, Math.min(low.get(file), low.get(to)));
      } else if (stack.includes(to)) low.set(file, Math.min(low.get(file), index.get(to)));
    }
    if (low.get(file) === index.get(file)) {
      const circle = stack.splice(stack.indexOf(file));
      if (circle.length > largest.length) largest = circle;
    }
  };
  for (const file of arrows.keys()) if (!index.has(file)) visit(file);
  return largest.length > 1 ? largest.sort() : [];
}

/** The arrows that go against the best order found: [from, to], where `to` comes before `from`. */
function upwardArrows(files, arrows) {
  const numbers = new Map(files.map((file, number) => [file, number]));
  const between = files.map((file) => [...arrows.get(file)].filter((to) => numbers.has(to)).map((to) => numbers.get(to)));
  const points = files.map(() => new Uint8Array(files.length));
  between.forEach((targets, from) => targets.forEach((to) => (points[from][to] = 1)));
  // Those with more arrows out than in come first.
  const incoming = files.map((_, number) => between.filter((targets) => targets.includes(number)).length);
  const order = files.map((_, number) => number).sort((a, b) => between[b].length - incoming[b] - (between[a].length - incoming[a]) || a - b);
  for (let improved = true; improved; ) {
    improved = false;
    for (const file of files.keys()) {
      const from = order.indexOf(file);
      let best = 0;
      let bestAt = from;
      for (const step of [-1, 1]) {
        let change = 0;
        for (let at = from + step; at >= 0 && at < order.length; at += step) {
          const other = order[at];
          // Once `file` is on the other side of `other`, the arrows between them change direction.
          change += step * (points[file][other] - points[other][file]);
          if (change < best) [best, bestAt] = [change, at];
        }
      }
      if (best < 0) {
        order.splice(from, 1);
        order.splice(bestAt, 0, file);
        improved = true;
      }
    }
  }
  const place = new Map(order.map((file, at) => [file, at]));
  return between.flatMap((targets, from) => targets.filter((to) => place.get(to) < place.get(from)).map((to) => [files[from], files[to]]));
}

const report = process.argv.includes('--report');
let wrong = false;
const graphs = [...LIBRARY_CRATES, LOAD_CRATE].map((crate) => [crate, rustArrows(crate), `crates/${crate}/src/`]);
for (const [name, arrows, prefix] of [...graphs, ['src', typescriptArrows(), 'src/']]) {
  if (arrows.size === 0) continue;
  const circle = largestCircle(arrows);
  const inside = circle.reduce((sum, file) => sum + [...arrows.get(file)].filter((to) => circle.includes(to)).length, 0);
  const upward = upwardArrows(circle, arrows);
  const figures = [circle.length, inside, upward.length];
  const limits = LIMITS[name] ?? [0, 0, 0];
  const over = figures.some((figure, at) => figure > limits[at]);
  const under = figures.some((figure, at) => figure < limits[at]);
  console.log(`${name}: ${arrows.size} files, circle ${figures[0]} of at most ${limits[0]}, arrows ${figures[1]} of ${limits[1]}, upward ${figures[2]} of ${limits[2]}`);
  if (under && !over) console.log('  fewer than the limit: write the new figures into LIMITS');
  if (over || report) {
    const short = (file) => file.slice(prefix.length);
    console.log(`  the circle: ${circle.map(short).join(' ')}`);
    for (const [from, to] of upward) console.log(`  upward: ${short(from)} -> ${short(to)}`);
  }
  wrong ||= over;
}
if (wrong) console.log('Imports have become more tangled: move what two files need from one another to a third, or pass it in.');
process.exit(wrong && !report ? 1 : 0);
