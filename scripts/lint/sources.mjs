// What the checks of sources share: which files there are, and Rust without its comments, texts and
// tests.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** The crates that make the addon. The load generator is a program of its own. */
export const LIBRARY_CRATES = ['wsbroker', 'wsbroker-core', 'wsbroker-http', 'wsbroker-metrics', 'wsbroker-proto', 'wsbroker-redis', 'wsbroker-sys'];
export const LOAD_CRATE = 'wsbroker-load';

/** The files below a folder whose names match, sorted, with `/` on every system. */
export function filesBelow(folder, pattern) {
  let entries;
  try {
    entries = readdirSync(path.join(root, folder), { withFileTypes: true });
  } catch {
    return [];
  }
  return entries
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const file = `${folder}/${entry.name}`;
      if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : filesBelow(file, pattern);
      return pattern.test(entry.name) ? [file] : [];
    });
}

export const read = (file) => readFileSync(path.join(root, file), 'utf8');

export const isTestFile = (file) => /\/(tests|models|fuzzing|oracle)(\.rs$|\/)/.test(file);

/** The Rust files of a crate that are not tests. */
export const rustFiles = (crate) => filesBelow(`crates/${crate}/src`, /\.rs$/).filter((file) => !isTestFile(file));

const blank = (text) => text.replace(/[^\n]/g, ' ');

/**
 * Rust with spaces where comments and texts were, so that every place keeps its line. Braces that
 * are left are braces of code.
 */
export function withoutComments(text) {
  const pattern = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|\bb?r(#*)"[\s\S]*?"\1|b?"(?:[^"\\]|\\[\s\S])*"|b?'(?:[^'\\\n]|\\(?:u\{[^}]*\}|x..|.))'/g;
  return text.replace(pattern, blank);
}

/** The end of the block whose opening brace is at `start`. */
function endOfBlock(code, start) {
  let depth = 0;
  for (let at = start; at < code.length; at++) {
    if (code[at] === '{') depth++;
    else if (code[at] === '}' && --depth === 0) return at + 1;
  }
  return code.length;
}

/** Code without items that only tests have: `#[cfg(test)] mod tests { … }` and the like. */
function withoutTests(code) {
  const attribute = /#\[cfg\((?:all\()?(?:test|loom|fuzzing)\b[^\]]*\]/g;
  let result = code;
  for (let match; (match = attribute.exec(result)) !== null; ) {
    const item = /[;{]/g;
    item.lastIndex = attribute.lastIndex;
    const start = item.exec(result)?.index;
    if (start === undefined) break;
    const end = result[start] === ';' ? start + 1 : endOfBlock(result, start);
    result = result.slice(0, match.index) + blank(result.slice(match.index, end)) + result.slice(end);
  }
  return result;
}

/** The code of a Rust file: no comments, no texts, no tests. */
export const rustCode = (file) => withoutTests(withoutComments(read(file)));

/**
 * The parts of a file at which items are declared: at its top, and in its inline modules. What is
 * in a function, an `impl` or a trait is blank.
 */
export function itemsOnly(code) {
  let result = '';
  let at = 0;
  let since = 0;
  while (at < code.length) {
    const character = code[at];
    if (character === '{') {
      const head = code.slice(since, at);
      if (!/\bmod\s+\w+\s*$/.test(head) && !/\buse\b[^;]*$/.test(head)) {
        const end = endOfBlock(code, at);
        result += blank(code.slice(at, end));
        since = at = end;
        continue;
      }
      if (!/\buse\b[^;]*$/.test(head)) since = at + 1;
    } else if (character === ';' || character === '}') since = at + 1;
    result += character;
    at++;
  }
  return result;
}

export const lineAt = (text, index) => text.slice(0, index).split('\n').length;
