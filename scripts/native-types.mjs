// Makes the two files of src/ that repeat what Rust says: src/native.cts, the types of what the
// addon exports, and src/native/shared-numbers.cts, the numbers that both sides use. `npm run
// build` and `npm run debug` do it; test/native/contract.test.cjs checks that both files are
// current.
//
//   #[napi] functions, objects and classes   from the declarations that napi-rs has just written
//   functions! { … }                         from the declarations that stand in it
//   worker/shared_numbers.rs                 modules of integer constants
//
// What it does not understand stops it, so that nothing is left out in silence.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const crate = join(root, 'crates', 'wsbroker', 'src');
/** Where scripts/build.mjs has napi-rs write its declarations. */
export const DECLARATIONS = 'target/wsbroker.d.ts';
const VALUES = 'src/native/raw-values.cts';
const MADE = '// Made from crates/wsbroker by scripts/native-types.mjs, which npm run build starts. Do not edit.\n';

/** The generated files: their paths and what must be in them. */
export function generated() {
  return { 'src/native.cts': wrapped(nativeTypes()), 'src/native/shared-numbers.cts': wrapped(sharedNumbers()) };
}

export function writeGenerated() {
  for (const [file, text] of Object.entries(generated())) {
    if (read(file) !== text) writeFileSync(join(root, file), text);
  }
}

function read(file) {
  try {
    return readFileSync(join(root, file), 'utf8').replaceAll('\r\n', '\n');
  } catch (error) {
    if (error.code === 'ENOENT') return '';
    throw error;
  }
}

// Types -------------------------------------------------------------------------------------------

function nativeTypes() {
  const members = [];
  const types = [];
  for (const block of read(DECLARATIONS).split(/\n{2,}/).map((one) => one.trim())) {
    if (block === '' || block.startsWith('/* auto-generated')) continue;
    const [, comment, code] = /^(\/\*\*[\s\S]*?\*\/\n)?(export [\s\S]*)$/.exec(block) ?? unknown(DECLARATIONS, block);
    const [, kind, name, rest] = /^export (declare function|declare class|interface) (\w+)([\s\S]*)$/.exec(code) ?? unknown(DECLARATIONS, code);
    if (kind === 'declare function') {
      members.push(indented(`${comment ?? ''}${name}${rest};`));
    } else if (kind === 'interface') {
      types.push(`${comment ?? ''}export interface ${name}${fields(rest)}`);
    } else {
      const [constructor] = /( {2}\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)? {2}constructor\((.*)\)\n/.exec(rest) ?? unknown(DECLARATIONS, rest);
      const [, doc, parameters] = /^([\s\S]*?) {2}constructor\((.*)\)\n$/.exec(constructor);
      types.push(`${comment ?? ''}export interface ${name}${fields(rest.replace(constructor, ''))}`);
      members.push(`${doc}  readonly ${name}: new (${parameters}) => ${name};`);
    }
  }
  if (members.length === 0) throw new Error(`${DECLARATIONS} is missing; run npm run debug`);
  const raw = rawFunctions();
  const known = [...read(VALUES).matchAll(/^export (?:type|interface) (\w+)|^export type \{([^}]*)\} from/gm)].flatMap(([, one, many]) => one ?? many.split(',').map((name) => name.trim()).filter((name) => name !== ''));
  const used = known.filter((name) => new RegExp(`\\b${name}\\b`).test(raw.join('\n')));
  return [
    `${MADE}\nimport type { ${used.sort().join(', ')} } from './native/raw-values.cjs';\nexport type * from './native/raw-values.cjs';`,
    `/** What the addon exports. Nothing of it is public: src/index.cts is. */\nexport interface Native {\n${[...members, ...raw].join('\n')}\n}`,
    ...types,
  ].map(plain).join('\n\n') + '\n';
}

/** Every line of an object type ends in a semicolon, and what is optional may be `undefined`. */
function fields(body) {
  return body.replace(/^ {2}(\w+\??:|\w+\().*$/gm, (line) => `${line};`).replace(/^( {2}\w+\?: .*);$/gm, '$1 | undefined;');
}

/** Links of Rust's documentation, which lead nowhere here, as code. */
function plain(text) {
  return text.replace(/\[(`[^`\]]+`)\](\([^)]*\))?/g, '$1');
}

function rawFunctions() {
  const found = [];
  const files = readdirSync(crate, { recursive: true }).filter((name) => name.endsWith('.rs')).sort();
  for (const name of files) {
    const source = readFileSync(join(crate, name), 'utf8').replaceAll('\r\n', '\n');
    for (const [, body] of source.matchAll(/^functions! \{\n([\s\S]*?)^\}/gm)) {
      let comment = [];
      for (const line of body.replace(/\\\n\s*/g, '').replace(/=\n\s*/g, '= ').trim().split('\n')) {
        const [, doc, declaration] = /^\s*(?:\/\/\/ (.*)|\w+(?:\(given\))? = "(.*)";)$/.exec(line) ?? unknown(name, line);
        if (doc !== undefined) {
          comment.push(doc);
          continue;
        }
        found.push(indented(`${jsdoc(comment)}${declaration};`));
        comment = [];
      }
    }
  }
  return found;
}

// Numbers -----------------------------------------------------------------------------------------

function sharedNumbers() {
  const file = 'worker/shared_numbers.rs';
  const out = [];
  let comment = [];
  for (const line of readFileSync(join(crate, file), 'utf8').replaceAll('\r\n', '\n').split('\n')) {
    if (line === '' || line.startsWith('//!')) continue;
    const [, doc, group, name, value, end] =
      /^\s*(?:\/\/\/ (.*)|pub\(crate\) mod (\w+) \{|pub\(crate\) const (\w+): \w+ = (\d+);|(\}))$/.exec(line) ?? unknown(file, line);
    if (doc !== undefined) {
      comment.push(doc);
      continue;
    }
    if (group !== undefined) out.push(`\n${jsdoc(comment)}export const enum ${pascal(group)} {`);
    else if (name !== undefined) out.push(indented(`${jsdoc(comment)}${pascal(name.toLowerCase())} = ${value},`));
    else if (end !== undefined) out.push('}');
    comment = [];
  }
  return `${MADE}${out.join('\n')}\n`;
}

/** `token_epoch` as `TokenEpoch`. */
function pascal(name) {
  return name.replace(/(?:^|_)(\w)/g, (_, letter) => letter.toUpperCase());
}

// Text --------------------------------------------------------------------------------------------

function jsdoc(lines) {
  if (lines.length === 0) return '';
  return lines.length === 1 ? `/** ${lines[0]} */\n` : `/**\n${lines.map((line) => ` * ${line}\n`).join('')} */\n`;
}

/** Comments of at most 100 columns. */
function wrapped(text) {
  const lines = text.split('\n').flatMap((line) => {
    if (line.length <= 100) return [line];
    const [, indent, words] = /^( *)\/\*\* (.*) \*\/$/.exec(line) ?? [];
    if (words !== undefined) return [`${indent}/**`, ...wrappedWords(`${indent} * `, words), `${indent} */`];
    const [, start, rest] = /^( *\* )(.*)$/.exec(line) ?? [];
    return rest === undefined ? [line] : wrappedWords(start, rest);
  });
  return lines.join('\n');
}

function wrappedWords(start, text) {
  const lines = [];
  for (const word of text.split(' ')) {
    const longer = lines.length === 0 ? undefined : `${lines.at(-1)} ${word}`;
    if (longer !== undefined && longer.length <= 100) lines[lines.length - 1] = longer;
    else lines.push(`${start}${word}`);
  }
  return lines;
}

function indented(text) {
  return text.replace(/^(?=.)/gm, '  ');
}

function unknown(file, text) {
  throw new Error(`scripts/native-types.mjs does not understand this in ${file}:\n${text}`);
}
