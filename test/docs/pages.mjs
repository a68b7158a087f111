// The pages of the documentation, and the code blocks in them.
//
// How a block of js or ts is marked, on the line above its fence:
//
//   <!-- run: NAME FILE -->    One file of a program. The blocks of one NAME on one page are one
//                              program; the LAST of them is started. readme.test.mjs runs it: it
//                              must print `listening on ws://…`, or end by itself with status 0.
//                              What it does on SIGTERM it sets up before it prints that.
//                              Blocks of other languages (json, html) may be files of it, too.
//   <!-- excerpt -->           A fragment: it is only type-checked (docs.test.mjs). What wsbroker
//                              exports is imported by itself where the block only calls it.
//   <!-- excerpt: a, b -->     The same; `a` and `b` are anything of the reader's.
//
// docs/reference.md is generated, and marks the signatures of functions with <!-- signature -->.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

function markdownBelow(folder) {
  return readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = path.posix.join(folder, entry.name);
    if (entry.isDirectory()) return markdownBelow(name);
    return name.endsWith('.md') ? [name] : [];
  });
}

/** Pages whose blocks are checked. */
export const PAGES = ['README.md', ...markdownBelow('docs').sort()];
/** Pages whose links are checked. */
export const LINKED = [...PAGES, 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', 'bench/README.md', ...markdownBelow('example').sort()];

export const read = (page) => readFileSync(path.join(root, page), 'utf8');

/**
 * The fenced blocks of a page: { page, line, language, mark, text }, `mark` being what the comment
 * above the fence says.
 */
export function blocks(page, text = read(page)) {
  const found = [];
  const lines = text.split('\n');
  for (let at = 0; at < lines.length; at++) {
    const open = /^( *)(`{3,}) *(\S*)/.exec(lines[at]);
    if (!open) continue;
    const [, indent, fence, language] = open;
    const begin = at;
    do at++;
    while (at < lines.length && lines[at].trim() !== fence);
    const inner = lines.slice(begin + 1, at).map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line));
    const mark = /^ *<!-- (.*) -->$/.exec(lines[begin - 1] ?? '')?.[1];
    found.push({ page, line: begin + 1, language, mark, text: `${inner.join('\n')}\n` });
  }
  return found;
}

/** Programs of a page: { page, name, files: { FILE: text }, entry, line }. */
export function programs(page, text) {
  const found = new Map();
  for (const { mark, line, text: code } of blocks(page, text)) {
    const [, name, file] = /^run: (\S+) (\S+)$/.exec(mark ?? '') ?? [];
    if (!name) continue;
    const program = found.get(name) ?? { page, name, files: {}, entry: file, line };
    program.files[file] = code;
    program.entry = file;
    found.set(name, program);
  }
  return [...found.values()];
}

/** A page without its code, for what is said in prose. */
export const withoutCode = (text) => text.replace(/^( *)(`{3,})[^\n]*\n[\s\S]*?^ *\2$/gm, '').replace(/`[^`\n]*`/g, '');
