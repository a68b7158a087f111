// `npm run docs`: writes docs/reference.md from the doc comments in src/. Only the syntax of the
// sources is read, in the order in which things stand there; `npm test` checks that the result is
// current.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
// TypeScript 7, which builds the package, has no JavaScript interface: this one is there for that.
const ts = createRequire(path.join(root, 'scripts/docs/package.json'))('typescript');

const parse = (name) => {
  const file = path.join(root, 'src', name);
  return ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.ES2022, true);
};
const index = parse('index.cts');
const emitter = parse('emitter.cts');
const emitterReceipt = parse('types/emitter-receipt.cts');
const page = path.join(root, 'docs/reference.md');
const WIDTH = 100;

// Reading ----------------------------------------------------------------------------------------

/** Everything declared at the top of a file, by name. */
function declarations(source) {
  const found = new Map();
  for (const statement of source.statements) {
    if (ts.isVariableStatement(statement)) {
      for (const one of statement.declarationList.declarations) found.set(one.name.text, one);
    } else if (statement.name) {
      found.set(statement.name.text, statement);
    }
  }
  return found;
}

/** The file of src/ that a module specifier of index.cts names. */
const sourceOf = (specifier) => specifier.replace(/\.cjs$/, '.cts').replace(/^\.\//, '');

/** What index.cts exports, by name: the functions, in its order, and the types. */
function exported() {
  const files = new Map();
  const functions = [];
  for (const statement of index.statements.filter(ts.isImportEqualsDeclaration)) {
    const { name, moduleReference } = statement;
    if (ts.isExternalModuleReference(moduleReference)) files.set(name.text, declarations(parse(sourceOf(moduleReference.expression.text))));
    else functions.push([name.text, files.get(moduleReference.left.text).get(moduleReference.right.text)]);
  }
  const others = index.statements.filter((one) => ts.isExportDeclaration(one) && one.exportClause).flatMap((one) => {
    const there = declarations(parse(sourceOf(one.moduleSpecifier.text)));
    return one.exportClause.elements.map(({ name }) => [name.text, there.get(name.text)]);
  });
  return { functions, others: new Map(others) };
}

/** A doc comment: its text, and its tags in order as { name, of, text }. */
function comment(node) {
  const doc = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc).at(-1);
  if (!doc) return { text: '', tags: [] };
  const tags = (doc.tags ?? []).map((tag) => ({
    name: tag.tagName.text,
    of: tag.name?.getText?.() ?? '',
    type: tag.typeExpression?.type?.getText?.() ?? '',
    text: prose(ts.getTextOfJSDocComment(tag.comment)),
  }));
  return { text: prose(ts.getTextOfJSDocComment(doc.comment)), tags };
}

/** Paragraphs on one line each; links as code. Fenced code stays as it is. */
function prose(text = '') {
  return text
    .split(/(```[\s\S]*?```)/)
    .map((part) =>
      part.startsWith('```')
        ? part
        : part
            .replace(/\{@link(?:code|plain)?[\s*]+([\w.]+?)(?:\s*\|\s*([^}]*))?\}/g, (_, name, shown) => `\`${shown || name.split('.').at(-1)}\``)
            .replace(/(?<![\w/(])docs\/([\w./-]+\.md)/g, (_, file) => `[${file.replace(/^.*\//, '').replace(/\.md$/, '')}](${file})`)
            .split(/\n{2,}/)
            .map((paragraph) => (/^\s*[-|]/m.test(paragraph) ? paragraph : paragraph.replace(/\s*\n\s*/g, ' ')))
            .join('\n\n'),
    )
    .join('')
    .trim();
}

const sentence = (text) => (text === '' || /[.:]$/.test(text) ? text : `${text}.`);
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const cell = (text) => text.replace(/\n+/g, ' ').replace(/\|/g, '\\|');
const flat = (node) => node.getText().replace(/\s*\n\s*/g, ' ').replace(/\breadonly /g, '').replace(/; \}/g, ' }').replace(/, \)/g, ')');
/** Literals as code; words as they are. */
const code = (text) => (/^(['[{].*|\d[\d.]*|true|false)$/.test(text) ? `\`${text}\`` : text);

/**
 * What a member's comment says without its default, and the default: a tag `@default`, a sentence
 * `Default 10.`, or `'this', the default`.
 */
function defaulted({ text, tags }) {
  const tag = tags.find(({ name }) => name === 'default');
  if (tag) return { text, preset: code(tag.text) };
  const said = / ?\bDefaults?:? (`[^`]*`(?![^.:]*`)|(?:[^.`]|\.\d|`[^`]*`)+?)(?:[:.](?= |$)| \()/.exec(text);
  const [, one] = /(`'[^`]+'`)[^.`]*, the default/.exec(text) ?? [];
  if (!said) return { text, preset: one };
  // What follows the value in the same sentence stays.
  const whole = said[0].endsWith('.');
  return { text: whole ? (text.slice(0, said.index) + text.slice(said.index + said[0].length)).trim() : text, preset: code(said[1]) };
}

/** The type of something optional: that it may be undefined is said by the question mark. */
const given = (node) => flat(node.type).replace(/ \| undefined$/, '');

// Writing ----------------------------------------------------------------------------------------

const ARG_TYPE = 'ERR_WSBROKER_INVALID_ARG_TYPE';

/**
 * An example, marked as a fragment (test/docs/pages.mjs), with the names that it takes from a
 * handler around it.
 */
function marked(example) {
  const given = /\bhandle\w+/.test(example) ? [] : ['socketId', 'text'].filter((name) => new RegExp(`\\b${name}\\b`).test(example));
  return example.replace(/^```[jt]s$/gm, `<!-- excerpt${given.length > 0 ? `: ${given.join(', ')}` : ''} -->\n$&`);
}

function callable(name, node, title = name) {
  const type = ts.isVariableDeclaration(node) ? node.type : node;
  const parameters = type.parameters.map(flat).join(', ');
  const { text, tags } = comment(node);
  const result = type.type ? `: ${flat(type.type)}` : '';
  const lines = [`### \`${title}()\``, ''];
  lines.push('<!-- signature -->', '```ts', `${title}(${parameters})${result}`, '```', '', text, '');
  for (const tag of tags) {
    if (tag.name === 'param') lines.push(`- \`${tag.of}\`: ${sentence(tag.text)}`);
    if (tag.name === 'returns') lines.push(`- Returns ${sentence(tag.text)}`);
    // Every call does that, and it is said once for all.
    if (tag.name === 'throws' && tag.text !== ARG_TYPE) lines.push(`- Throws ${tag.type ? `\`${tag.type}\` ` : ''}${sentence(codes(tag.text))}`);
  }
  for (const { text: example } of tags.filter((tag) => tag.name === 'example')) lines.push('', marked(example));
  return lines.join('\n').replace(/\n{3,}/g, '\n\n').trim();
}

const codes = (text) => text.replace(/\bERR_WSBROKER_\w+/g, '`$&`');

/** An interface as a table of its members. Where one has a default, there is a column for it. */
function members(name, node, [first, second] = ['Member', 'Means']) {
  const { text } = comment(node);
  const all = node.members.map((member) => {
    const optional = member.questionToken ? '?' : '';
    const doc = comment(member);
    const { text: says, preset } = defaulted(doc);
    const notes = doc.tags.filter((tag) => tag.name === 'param').map((tag) => `\`${tag.of}\`: ${sentence(tag.text)}`);
    const shown = ts.isMethodSignature(member)
      ? `${member.name.getText()}${optional}(${member.parameters.map((one) => one.name.getText()).join(', ')})`
      : `${member.name.getText()}${optional}: ${optional ? given(member) : flat(member.type)}`;
    const means = capital([sentence(says), ...notes].filter((part) => part !== '').join(' ').trim());
    if (means === '') throw new Error(`${name}.${member.name.getText()} has no comment: its row in the reference would be empty`);
    return { shown, means, preset: preset ?? (optional ? '—' : 'required') };
  });
  const some = all.some(({ preset }) => !['—', 'required'].includes(preset));
  const row = (...cells) => `| ${cells.filter((_, at) => at !== 1 || some).join(' | ')} |`;
  return [
    `### \`${name}\``,
    '',
    text,
    '',
    row(first, 'Default', second),
    row('---', '---', '---'),
    ...all.map(({ shown, means, preset }) => row(`\`${cell(shown)}\``, cell(preset), cell(means))),
  ]
    .join('\n')
    .replace(/\n{3,}/g, '\n\n');
}

/** A type alias, with the members of a long union one below the other, and its comment. */
function alias(name, node) {
  const one = `type ${name} = ${flat(node.type).replace(/^\| /, '')}`;
  const long = one.length > WIDTH && ts.isUnionTypeNode(node.type);
  const shown = long ? [`type ${name} =`, ...node.type.types.map((member) => `  | ${flat(member)}`)].join('\n') : one;
  return [`### \`${name}\``, '', '<!-- signature -->', '```ts', shown, '```', '', comment(node).text].join('\n').trim();
}

/** A union of string literals, each with its own comment. */
function codesTable(node) {
  const source = node.getSourceFile().text;
  const rows = node.type.types.map((one) => {
    // The comment stands before the bar in front of the literal, where no node owns it.
    const before = source.slice(node.pos, one.pos);
    const doc = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/[\s|]*$/.exec(before)?.[1] ?? '';
    return `| \`${one.getText().slice(1, -1)}\` | ${cell(prose(doc.replace(/^\s*\*? ?/gm, ' ').trim()))} |`;
  });
  return ['| Code | When |', '| --- | --- |', ...rows].join('\n');
}

/** What a reader looks for; the rest follows by name. */
const FIRST = ['StartOptions', 'Server', 'WorkerInterface'];

const slugs = new Map();
/**
 * Links to the headings in these sections, which must be asked for in the order of the page: GitHub
 * numbers headings that read alike.
 */
const contents = (sections) =>
  sections
    .flatMap((text) => [...text.matchAll(/^### `([^`]+)`$/gm)])
    .map(([, title]) => {
      const slug = title.toLowerCase().replace(/[^\w -]/g, '').replaceAll(' ', '-');
      const times = slugs.get(slug) ?? 0;
      slugs.set(slug, times + 1);
      return `[\`${title.replace('()', '')}\`](#${slug}${times === 0 ? '' : `-${times}`})`;
    })
    .join(' · ');

function emitterSection() {
  const found = declarations(emitter);
  const node = found.get('Emitter');
  const { text, tags } = comment(node);
  const options = found.get('EmitterOptions');
  const create = node.members.find(ts.isConstructorDeclaration);
  const methods = node.members.filter(ts.isMethodDeclaration);
  return [
    `${text}`,
    ...tags.filter((tag) => tag.name === 'example').map((tag) => marked(tag.text)),
    callable('Emitter', create, 'new Emitter'),
    ...methods.map((method) => callable(method.name.text, method, `emitter.${method.name.text}`)),
    members('EmitterOptions', options, ['Option', 'Means']),
    members('EmitterPublishOptions', found.get('EmitterPublishOptions'), ['Option', 'Means']),
    members('EmitterReceipt', declarations(emitterReceipt).get('EmitterReceipt')),
  ];
}

function reference() {
  const { functions: called, others } = exported();
  const functions = called.map(([name, node]) => callable(name, node));
  const shown = [...others].filter(([name, node]) => node && name !== 'WSBrokerErrorCode' && !ts.isClassDeclaration(node));
  const rank = ([name]) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  const types = shown.sort((a, b) => rank(a) - rank(b) || (a[0] < b[0] ? -1 : 1)).map(([name, node]) => {
    if (!ts.isInterfaceDeclaration(node)) return alias(name, node);
    return members(name, node, name === 'StartOptions' ? ['Option', 'Means'] : name === 'WorkerInterface' ? ['Handler', 'Called'] : undefined);
  });
  const emitting = emitterSection();
  return `${[
    '<!-- Made by `npm run docs` from the comments in src/. Do not edit. -->',
    '# Reference',
    'Look up here what a function takes, what an option means and what a code says. To learn how things fit together, read [Getting started](getting-started.md) and the [README](../README.md).',
    `**[Functions](#functions):** ${contents(functions)}`,
    `**[Types](#types):** ${contents(types)}`,
    `**[Emitter](#emitter):** ${contents(emitting)} · **[Errors](#errors)**`,
    'The server helper has [a guide of its own](server-helper.md).',
    '## Functions',
    `A wrong argument throws before anything is done: a \`TypeError\` with the code \`${ARG_TYPE}\`. Its message names the argument, what was expected and what came. A function that returns a promise rejects with the same error. ` +
      'Before the first `start` there are no sockets: `send` returns 0, `subscribe` returns false, counts are 0.',
    ...functions,
    '## Types',
    ...types,
    '## Emitter',
    "`import { Emitter } from 'wsbroker/emitter'`",
    ...emitting,
    '## Errors',
    comment(others.get('WSBrokerError')).text,
    codesTable(others.get('WSBrokerErrorCode')),
  ].join('\n\n')}\n`;
}

/** Prose at 100 columns: what is no table, no code and no heading. Code spans and links stay whole. */
function wrapped(text) {
  let code = false;
  return text.split('\n').flatMap((line) => {
    if (line.startsWith('```')) code = !code;
    if (code || line.length <= WIDTH || /^([|#<]|```)/.test(line)) return [line];
    const indent = line.startsWith('- ') ? '  ' : '';
    const lines = [''];
    for (const word of line.match(/(?:`[^`]*`|\[[^\]]*\]\([^)]*\)|\S)+/g)) {
      const last = lines.at(-1);
      if (last === '') lines[lines.length - 1] = word;
      else if (last.length + 1 + word.length <= WIDTH) lines[lines.length - 1] += ` ${word}`;
      else lines.push(indent + word);
    }
    return lines;
  }).join('\n');
}

const made = wrapped(reference());
const empty = made.split('\n').filter((line) => line.startsWith('|') && /\| *\|/.test(line.replaceAll('\\|', '')));
if (empty.length > 0) throw new Error(`cells without text:\n${empty.join('\n')}`);
if (!existsSync(page) || readFileSync(page, 'utf8') !== made) writeFileSync(page, made);
