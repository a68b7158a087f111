// Comments are at most 100 columns wide, in the crates and in `src/`.
//
// rustfmt and the compiler leave them as they are: rustfmt's `comment_width` needs its nightly, and
// it would take lists and tables apart. Code may have 120 columns. A line with an address that
// cannot be broken is left alone, and so is a row of a table.
//
//   node scripts/lint-comments.mjs            fails if a line is wider, and names it
//   node scripts/lint-comments.mjs --report   counts them by file, and never fails
//   node scripts/lint-comments.mjs test       looks at other folders

import { filesBelow, read } from './lint/sources.mjs';

const COLUMNS = 100;

/** The lines of a file on which there is nothing but a comment: [number, text]. */
function commentLines(text) {
  let inBlock = false;
  return text.split('\n').flatMap((line, index) => {
    const start = line.trimStart();
    const comment = inBlock || start.startsWith('//') || start.startsWith('/*');
    if (comment && !start.startsWith('//')) inBlock = !line.includes('*/');
    return comment ? [[index + 1, line.trimEnd()]] : [];
  });
}

const isTooWide = (line) => [...line].length > COLUMNS && !line.includes('://') && !/^\s*(?:\/\/[/!]?|\*)\s*\|/.test(line);

const report = process.argv.includes('--report');
const folders = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const files = folders.length > 0
  ? folders.flatMap((folder) => filesBelow(folder.replace(/\/$/, ''), /\.(rs|[cm]?[jt]s)$/))
  : [...filesBelow('crates', /\.rs$/).filter((file) => /^crates\/[^/]+\/src\//.test(file)), ...filesBelow('src', /\.[cm]ts$/)];

const wide = files.map((file) => [file, commentLines(read(file)).filter(([, line]) => isTooWide(line))]).filter(([, lines]) => lines.length > 0);
const total = wide.reduce((sum, [, lines]) => sum + lines.length, 0);
console.log(`${files.length} files, ${total} comment lines over ${COLUMNS} columns`);
for (const [file, lines] of wide) {
  if (report) console.log(`  ${String(lines.length).padStart(4)} ${file}`);
  else for (const [number, line] of lines) console.log(`${file}:${number}: ${[...line].length} columns`);
}
process.exit(total > 0 && !report ? 1 : 0);
