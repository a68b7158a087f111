// Comments are at most 100 columns wide, in the crates and in `src/`.
//
// rustfmt and the compiler leave them as they are: rustfmt's `comment_width` needs its nightly, and
// it would take lists and tables apart. Code may have 120 columns, in an example too. A line of one
// word, an address and a row of a table are left alone.
//
//   node scripts/lint-comments.mjs            fails if a line is wider, and names it
//   node scripts/lint-comments.mjs --report   counts them by file, and never fails
//   node scripts/lint-comments.mjs --fix      wraps the paragraphs that are too wide; read the diff
//   node scripts/lint-comments.mjs test       looks at other folders, or files

import { existsSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { filesBelow, read, root } from './lint/sources.mjs';

const COLUMNS = 100;

/** The lines of a file on which there is nothing but a comment: [number, text]. */
function commentLines(text) {
  let inBlock = false;
  let fenced = false;
  return text.split('\n').flatMap((line, index) => {
    const start = line.trimStart();
    const comment = inBlock || start.startsWith('//') || start.startsWith('/*');
    if (comment && !start.startsWith('//')) inBlock = !line.includes('*/');
    const fence = comment && /^(?:\/\/[/!]?|\*)\s*```/.test(start);
    fenced = comment && fence !== fenced;
    return comment && !fenced && !fence ? [[index + 1, line.trimEnd()]] : [];
  });
}

/** `// --- title ------`, wider than it may be. */
const isRuler = (line) => [...line].length > COLUMNS && /^\s*\/\/ .*-{10}$/.test(line);
/** Wider than it may be, and can be wrapped. */
const isTooWide = (line) =>
  isRuler(line) || ([...line].length > COLUMNS && !line.includes('://') && !/^\s*(?:\/\/[/!]?|\*)\s*(?:\||\S+$)/.test(line));

/** Words in lines of at most the width that `first` and `rest`, the beginnings, leave. */
function wrapWords(text, first, rest) {
  const lines = [];
  let line = first;
  let empty = true;
  // The compiler does not understand a `{@link …}` that is broken.
  for (const [word] of text.matchAll(/\S*\{@\w+ [^}]*\}\S*|\S+/g)) {
    if (!empty && [...line].length + 1 + [...word].length > COLUMNS) {
      lines.push(line);
      [line, empty] = [rest, true];
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  return [...lines, line];
}

/** One paragraph, given as what follows the comment's sign; only wrapped if a line is too wide. */
function wrapParagraph(before, lines) {
  const sign = before.trimEnd();
  if (!lines.some((line) => isTooWide(before + line))) return lines.map((line) => (line === '' ? sign : before + line));
  const [, indent, marker] = /^(\s*)((?:[-*] |\d+\. |\S+(?: \S+){0,4}\s{2,})?)/.exec(lines[0]);
  const text = [lines[0].slice(indent.length + marker.length), ...lines.slice(1).map((line) => line.trim())].join(' ').trim();
  return wrapWords(text, before + indent + marker, before + indent + ' '.repeat(marker.length));
}

/** Whether a line of a comment begins a paragraph, rather than continuing the one before. */
function beginsParagraph(line, previous, first) {
  if (previous === undefined || /^\s*(?:$|[-*] |\d+\. |@|#|\||```)/.test(line) || /^\s*(?:$|#|\||```)/.test(previous)) return true;
  const indentOf = (text) => /^\s*(?:[-*] |\d+\. |\S+(?: \S+){0,4}\s{2,})?/.exec(text)[0].length;
  const indent = /^\s*/.exec(line)[0].length;
  // Another entry of an aligned list, whose name leaves no gap.
  if (indent > 0 && /^\s*\S+(?: \S+){0,4}\s{2,}\S/.test(first) && indent === /^\s*/.exec(first)[0].length) return true;
  return indent > 0 && indent !== indentOf(previous) && indent !== /^\s*/.exec(previous)[0].length || /^\s*\S+(?: \S+){0,4}\s{3,}\S/.test(line);
}

function fix(text) {
  const source = text.split('\n');
  const result = [];
  for (let at = 0; at < source.length; ) {
    const single = /^(\s*)\/\*\* (.*) \*\/$/.exec(source[at]);
    if (single && isTooWide(source[at])) {
      const [, indent, words] = single;
      result.push(`${indent}/**`, ...wrapWords(words, `${indent} * `, `${indent} * `), `${indent} */`);
      at++;
      continue;
    }
    const sign = /^\s*(?:\/\/[/!]?(?!\/)|\*(?!\/))(?= |$)/.exec(source[at])?.[0];
    if (isRuler(source[at])) {
      result.push(source[at++].slice(0, COLUMNS));
      continue;
    }
    if (sign === undefined) {
      result.push(source[at++]);
      continue;
    }
    const lines = [];
    while (at < source.length && source[at].startsWith(sign) && /^(?: |$)/.test(source[at].slice(sign.length))) lines.push(source[at++].slice(sign.length + 1).trimEnd());
    let fenced = false;
    let paragraph = [];
    const end = () => {
      if (paragraph.length > 0) result.push(...wrapParagraph(`${sign} `, paragraph));
      paragraph = [];
    };
    for (const line of lines) {
      const fence = /^\s*```/.test(line);
      if (fenced || fence) {
        end();
        result.push(line === '' ? sign : `${sign} ${line}`);
        if (fence) fenced = !fenced;
        continue;
      }
      if (beginsParagraph(line, paragraph.at(-1), paragraph[0])) end();
      paragraph.push(line);
    }
    end();
  }
  return result.join('\n');
}

/** The files in a folder, or the one file. */
function filesAt(name) {
  const full = path.join(root, name);
  return existsSync(full) && statSync(full).isFile() ? [name] : filesBelow(name, /\.(rs|[cm]?[jt]s)$/);
}

const report = process.argv.includes('--report');
const folders = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const files = folders.length > 0
  ? folders.map((folder) => folder.replace(/\/$/, '')).flatMap(filesAt)
  : [...filesBelow('crates', /\.rs$/).filter((file) => /^crates\/[^/]+\/src\//.test(file)), ...filesBelow('src', /\.[cm]ts$/)];

if (process.argv.includes('--fix')) {
  for (const file of files) {
    const before = read(file);
    const after = fix(before);
    if (after !== before) writeFileSync(path.join(root, file), after);
  }
}

const wide = files.map((file) => [file, commentLines(read(file)).filter(([, line]) => isTooWide(line))]).filter(([, lines]) => lines.length > 0);
const total = wide.reduce((sum, [, lines]) => sum + lines.length, 0);
console.log(`${files.length} files, ${total} comment lines over ${COLUMNS} columns`);
for (const [file, lines] of wide) {
  if (report) console.log(`  ${String(lines.length).padStart(4)} ${file}`);
  else for (const [number, line] of lines) console.log(`${file}:${number}: ${[...line].length} columns`);
}
process.exit(total > 0 && !report ? 1 : 0);
