// README.md and docs/: every block of code is marked and compiles, every language is one we know,
// every script exists, and every link leads somewhere. Needs no addon. How a block is marked stands
// at the top of test/docs/pages.mjs.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';

import { blocks, LINKED, PAGES, programs, read, root, withoutCode } from './docs/pages.mjs';

const LANGUAGES = ['js', 'ts', 'sh', 'text', 'json', 'jsonc', 'html', 'http', 'nginx', 'caddyfile', 'haproxy', 'yaml', 'toml', 'ini', 'dockerfile', 'rust', 'diff'];
const all = PAGES.flatMap((page) => blocks(page));
const at = ({ page, line }) => `${page}:${line}`;
const isCode = ({ language }) => language === 'js' || language === 'ts';

test('every block names its language', () => {
  const wrong = all.filter(({ language }) => !LANGUAGES.includes(language)).map((one) => `${at(one)}: ${one.language || 'none'}`);
  assert.deepEqual(wrong, [], `one of ${LANGUAGES.join(', ')}`);
});

test('every block of js or ts is marked as a program or as a fragment', () => {
  const wrong = all.filter((one) => isCode(one) && !/^(run: \S+ \S+|excerpt|excerpt: [\w$, ]+)$/.test(one.mark ?? '') && !(one.mark === 'signature' && one.page === 'docs/reference.md'));
  assert.deepEqual(wrong.map((one) => `${at(one)}: ${one.mark ?? 'no mark'}`), [], 'how to mark a block stands at the top of test/docs/pages.mjs');
});

test('JSON can be read', () => {
  for (const one of all.filter(({ language }) => language === 'json')) assert.doesNotThrow(() => JSON.parse(one.text), at(one));
});

/** Names that a block can use without importing them. */
const OURS = [...readFileSync(path.join(root, 'src/index.cts'), 'utf8').matchAll(/^export import (\w+) =/gm)].map(([, name]) => name);

/** A fragment as a module of its own. */
function module({ language, mark, text }) {
  const given = mark.startsWith('excerpt: ') ? mark.slice('excerpt: '.length).split(/, */) : [];
  const says = given.map((name) => (language === 'ts' ? `declare const ${name}: any;` : `const ${name} = /** @type {any} */ (undefined);`));
  const declared = (name) => given.includes(name) || new RegExp(`(?:const|let|function|import)\\b[^;=(]*\\b${name}\\b`).test(text);
  const imported = OURS.filter((name) => new RegExp(`(?<![.\\w])${name}\\(`).test(text) && !declared(name));
  if (imported.length > 0) says.push(`import { ${imported.join(', ')} } from 'wsbroker';`);
  // On the first line, so that the compiler's lines are the block's.
  return `${says.join(' ')} export {};${text.startsWith('\n') ? '' : '\n'}${text}`;
}

const folder = mkdtempSync(path.join(tmpdir(), 'wsb-types-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('every block compiles', () => {
  const where = new Map();
  const write = (name, text, one) => {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
    where.set(name, one);
  };
  for (const one of all.filter((block) => isCode(block) && block.mark?.startsWith('excerpt'))) {
    write(`${one.page}-${one.line}.m${one.language}`, module(one), { ...one, line: one.line - 1 });
  }
  for (const page of PAGES) {
    for (const { name, files } of programs(page)) {
      for (const [file, text] of Object.entries(files)) {
        const one = blocks(page).find(({ mark }) => mark === `run: ${name} ${file}`);
        if (/\.[cm]?[jt]s$|^package\.json$/.test(file)) write(`${page}-${name}/${file}`, text, one);
      }
      if (!files['package.json'] && Object.keys(files).some((file) => file.endsWith('.ts'))) writeFileSync(path.join(folder, `${page}-${name}/package.json`), '{ "type": "module" }\n');
    }
  }
  symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'), 'junction');
  // Packages that are not here are anything; so is Bun.
  const foreign = new Set(
    all.flatMap(({ text }) => [...text.matchAll(/(?:from|import|require\() *'([^'.][^']*)'/g)].map(([, name]) => name)).filter((name) => !/^(node:|wsbroker\b)/.test(name) && !typed(name)),
  );
  writeFileSync(path.join(folder, 'ambient.d.ts'), `declare const Bun: any;\ndeclare module '*/.output/server/index.mjs';\n${[...foreign].map((name) => `declare module '${name}';\n`).join('')}`);

  const problems = [];
  for (const [language, more] of [['js', { strict: false, allowJs: true, checkJs: true }], ['ts', { allowImportingTsExtensions: true, noUncheckedIndexedAccess: true, experimentalDecorators: true, emitDecoratorMetadata: true }]]) {
    const files = [...where.keys()].filter((name) => name.endsWith(language));
    if (files.length === 0) continue;
    const config = {
      compilerOptions: {
        target: 'es2022', lib: ['es2024', 'esnext.disposable', 'dom'], module: 'nodenext', types: ['node'], noEmit: true, strict: true, skipLibCheck: true,
        paths: {
          wsbroker: [path.join(root, 'lib/index.d.cts')],
          'wsbroker/channels': [path.join(root, 'lib/channels.d.cts')],
          'wsbroker/crossws': [path.join(root, 'lib/crossws.d.cts')],
          'wsbroker/client': [path.join(root, 'lib/client.d.mts')],
          'wsbroker/testing': [path.join(root, 'lib/testing.d.cts')],
          'wsbroker/nest': [path.join(root, 'lib/nest.d.cts')],
          'wsbroker/emitter': [path.join(root, 'lib/emitter.d.cts')],
          'wsbroker/server-helper': [path.join(root, 'lib/server-helper.d.cts')],
        },
        ...more,
      },
      files: ['ambient.d.ts', ...files],
    };
    const project = path.join(folder, `tsconfig.${language}.json`);
    writeFileSync(project, JSON.stringify(config));
    const { stdout, stderr } = spawnSync(process.execPath, [path.join(root, 'node_modules/typescript/bin/tsc'), '-p', project, '--pretty', 'false'], { encoding: 'utf8', cwd: folder, timeout: 120_000 });
    assert.equal(stderr, '');
    for (const line of stdout.split('\n').filter((text) => text !== '')) {
      const [, file, row, what] = /^(.+?)\((\d+),\d+\): (.*)$/.exec(line) ?? [];
      const one = where.get(file);
      problems.push(one ? `${one.page}:${one.line + Number(row)}: ${what}` : line);
    }
  }
  assert.deepEqual(problems, []);
});

/** Whether a package is here with types. */
function typed(name) {
  const [scope, ...rest] = name.split('/');
  const bare = scope.startsWith('@') ? `${scope}/${rest[0]}` : scope;
  const manifest = path.join(root, 'node_modules', bare, 'package.json');
  if (!existsSync(manifest)) return false;
  const { types, typings, exports } = JSON.parse(readFileSync(manifest, 'utf8'));
  return Boolean(types ?? typings) || /\.d\.[cm]?ts"/.test(JSON.stringify(exports ?? ''));
}

const { scripts } = JSON.parse(read('package.json'));

test('the scripts and files that shell commands name are there', () => {
  const wrong = [];
  for (const page of LINKED) {
    const text = read(page);
    for (const [, name] of text.matchAll(/\bnpm run ([\w:-]+)/g)) if (!scripts[name]) wrong.push(`${page}: npm run ${name}`);
    for (const [, name] of text.matchAll(/\bnpm (start|test)\b/g)) if (!scripts[name]) wrong.push(`${page}: npm ${name}`);
    for (const [, file] of text.matchAll(/\b(?:node|sh|bun)(?: --\S+)* ((?:example|bench|scripts|test)\/[\w./-]+)/g)) if (!existsSync(path.join(root, file))) wrong.push(`${page}: ${file}`);
  }
  assert.deepEqual(wrong, []);
});

/** The anchors of a page, as GitHub names them. */
function anchors(text) {
  const seen = new Map();
  const found = [...text.matchAll(/<a (?:id|name)="([^"]+)"/g)].map(([, name]) => name);
  for (const [, title] of text.replace(/^( *)(`{3,})[^\n]*\n[\s\S]*?^ *\2$/gm, '').matchAll(/^#{1,6} +(.+?) *$/gm)) {
    const slug = title.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase().replace(/[^\p{L}\p{N}\p{M} _-]/gu, '').replaceAll(' ', '-');
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    found.push(times === 0 ? slug : `${slug}-${times}`);
  }
  return found;
}

test('every link within the repository leads somewhere', () => {
  const wrong = [];
  for (const page of LINKED) {
    for (const [, target] of withoutCode(read(page)).matchAll(/\]\(<?([^)\s>]+)>?\)/g)) {
      if (/^[a-z][a-z0-9+.-]*:/i.test(target)) continue;
      const [file, anchor] = target.split('#');
      const there = file === '' ? page : path.posix.join(path.posix.dirname(page), file);
      if (!existsSync(path.join(root, there))) wrong.push(`${page}: ${target}: no such file`);
      else if (anchor !== undefined && statSync(path.join(root, there)).isFile() && !anchors(read(there)).includes(anchor)) wrong.push(`${page}: ${target}: no such heading`);
    }
  }
  assert.deepEqual(wrong, []);
});

/** A page without its fenced blocks. */
const prose = (text) => text.replace(/^( *)(`{3,})[^\n]*\n[\s\S]*?^ *\2$/gm, '');

test('the files that are named in prose are there', () => {
  const wrong = [];
  for (const page of LINKED.filter((name) => name !== 'CHANGELOG.md')) {
    for (const [, file] of prose(read(page)).matchAll(/`((?:crates|src|test|docs|scripts|bench|example|platforms)\/[\w./-]+)`/g)) {
      if (!existsSync(path.join(root, file))) wrong.push(`${page}: ${file}`);
    }
  }
  assert.deepEqual(wrong, []);
});

/** The first cells of a page's tables that are nothing but code. */
function cells(page) {
  const found = [...read(page).matchAll(/^\| ((?:`\w+(?:\[\])?`(?:, )?)+)/gm)];
  return found.flatMap(([, names]) => names.replaceAll('`', '').split(', '));
}

test('the guide to troubleshooting has every error code', () => {
  const codes = new Set(read('src/errors.cts').match(/ERR_WSBROKER_[A-Z_]+(?=')/g));
  const named = cells('docs/guide/troubleshooting.md');
  const explained = named.filter((name) => name.startsWith('ERR_'));
  assert.ok(codes.size > 20);
  assert.deepEqual([...new Set(explained)].sort(), [...codes].sort());
});

test('the guide to monitoring has every number of stats()', () => {
  const page = read('docs/guide/monitoring.md');
  const fields = read('src/types/stats.cts').matchAll(/^  readonly (\w+)\??:/gm);
  const names = [...fields].map(([, name]) => name);
  assert.ok(names.length > 60);
  const missing = names.filter((name) => !new RegExp(`\`${name}(\\[\\])?\``).test(page));
  assert.deepEqual(missing, []);
});

test('the picture of `wsbroker top` has the parts that the program shows', () => {
  const require = createRequire(import.meta.url);
  const { parseExposition } = require('../lib/cli/top/exposition.cjs');
  const { Interval } = require('../lib/cli/top/interval.cjs');
  const { view } = require('../lib/cli/top/view.cjs');
  const picture = read('docs/guide/top.svg');
  const words = (text) => text.trim().split(/ {2,}/).join(' ');
  const shown = [...picture.matchAll(/<text class="heading"[^>]*>([^<]*)</g)].map(([, text]) => words(text));
  const numbers = ['wsbroker_closes_total{cause="peer"} 1', 'wsbroker_slow_sockets 1', 'wsbroker_http_requests_total{outcome="answered"} 1'];
  const scraped = parseExposition(numbers.join('\n'));
  const headings = view(new Interval(scraped, scraped, 1), 'URL').filter(({ style }) => style === 'heading');
  assert.deepEqual(shown.slice(1), headings.slice(1).map(({ text }) => words(text)), '`node scripts/top-view.mjs` makes it anew');
  assert.match(shown[0], /^wsbroker \d\S* http:\S+ up .* over [\d.]+ s$/);
  assert.match(picture, /<text class="alarm"[^>]*>\d+ STUCK/);
});
