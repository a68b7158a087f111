// Breaks the code on purpose, one place at a time, and tells which breaks no test notices.
//
//   npm run mutants [-- [--again] [sample, default 150] [file ...]]
//
// The files are the protocol and the parts of the broker that decide what arrives where; without
// arguments a sample of their places, spread evenly, always the same. cargo-mutants says what can
// be broken. All of it is built into one copy of the tree, each break behind a number in the
// environment, so that trying one costs no compiler: the unit tests of the crate first, and only
// for what survives them the integration tests that fit the file. What cannot be built in that way
// is built alone.
//
// With `--again` only what survived last time is tried again, and the rest is taken from there.
// What was found is in target/mutants/outcomes.json. It takes a while, so it is no part of `npm
// test`.
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const output = join(root, 'target', 'mutants');
const tree = join(output, 'tree');
const results = join(output, 'outcomes.json');
const CORE = 'crates/wsbroker-core/src';
const BUS = 'crates/wsbroker-redis/src/bus';

/** What is broken by default. */
const FILES = [
  'crates/wsbroker-proto/src/**',
  `${CORE}/dispatch/mod.rs`,
  `${CORE}/shard/outbox.rs`,
  `${CORE}/shard/inbound.rs`,
  `${CORE}/namespace/directory.rs`,
  `${BUS}/interest.rs`,
  `${BUS}/publish_queue.rs`,
];

/** The integration tests that see what a file does. */
const TESTS = [
  ['crates/wsbroker-proto/', ['round_trip', 'splits', 'differential']],
  [`${CORE}/dispatch/`, ['broker', 'namespace', 'inbound', 'limits', 'stats', 'shutdown', 'memory']],
  [`${CORE}/shard/outbox.rs`, ['broker', 'limits', 'memory', 'model', 'deflate', 'namespace', 'tls']],
  [`${CORE}/shard/inbound.rs`, ['broker', 'hostile', 'inbound', 'limits', 'memory', 'clocks', 'tls']],
  [`${CORE}/namespace/`, ['namespace']],
  [`${BUS}/`, ['cluster']],
];

/** Features without which some of those are not built. */
const FEATURES = { 'wsbroker-redis': ['redis-tests'] };

/** Breaks that change nothing anyone can see, each with its reason: they are not tried. */
const EQUIVALENT = [
  // zlib gets on whenever it has input and room. If it ever did not, that arm would end the loop.
  /match guard taken == 0 && out\.len\(\) == len with false in run$/,
];

// What no test can reach: the fuzz targets' own entrances, and what only says something for people.
const NOT_TESTED = ['--exclude', '**/fuzzing.rs', '--exclude-re', 'impl (fmt::)?(Debug|Display)'];

/**
 * A break that makes a test use more memory, or more time than several times what it takes, counts
 * as noticed.
 */
const MEMORY_KIB = 12 * 2 ** 20;
const SLOWER = 6;
const AT_LEAST_MS = 60_000;

const NUMBER = 'WSBROKER_BREAK';
/** Put into each crate: the number of the break that is on. */
const SWITCH = `
/// Put here by scripts/mutants.mjs.
pub(crate) mod broken {
    pub(crate) fn on(number: u32) -> bool {
        static ON: std::sync::LazyLock<u32> =
            std::sync::LazyLock::new(|| std::env::var("${NUMBER}").ok().and_then(|number| number.parse().ok()).unwrap_or(0));
        *ON == number
    }
}
`;

const rest = process.argv.slice(2);
const again = rest[0] === '--again' && rest.shift() !== undefined;
const [size = '150', ...files] = rest;
const sample = Number(size);
if (!Number.isInteger(sample) || sample < 1) fail(`the size of the sample is a whole number above 0, not ${size}`, 2);

const texts = new Map();
const { chosen, places } = choose();
const before = again ? read() : new Map();
const outcomes = new Map();
for (const { key } of chosen) if (before.has(key) && before.get(key).state !== 'survived') outcomes.set(key, before.get(key));
const open = chosen.filter(({ key }) => !outcomes.has(key));
refresh();
for (const name of new Set(open.map((mutant) => mutant.package))) await tryAll(name, open.filter((mutant) => mutant.package === name));
report();

/** So many of the places that cargo-mutants finds. */
function choose() {
  const args = ['mutants', '--list', '--json', ...(files.length > 0 ? files : FILES).flatMap((file) => ['--file', file]), ...NOT_TESTED];
  const listed = spawnSync('cargo', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 2 ** 28 });
  if (listed.status !== 0) fail('cargo mutants could not list them; if it is not there: cargo install cargo-mutants');
  const all = JSON.parse(listed.stdout);
  if (all.length === 0) fail('there is nothing to break in these files', 2);
  const every = Math.max(1, all.length / sample);
  const chosen = all
    .filter((_, index) => Math.floor(index / every) !== Math.floor((index - 1) / every))
    .filter(({ name }) => !EQUIVALENT.some((pattern) => pattern.test(name)));
  for (const { package: name } of chosen) textOf(libOf(name));
  for (const [index, mutant] of chosen.entries()) {
    mutant.number = index + 1;
    // Not by its line, which moves when something is added above it.
    const line = textOf(mutant.file).split('\n')[mutant.span.start.line - 1].trim();
    mutant.key = [mutant.file, mutant.function?.function_name, line, mutant.span.start.column, mutant.replacement].join('|');
  }
  console.log(`${all.length} places; ${chosen.length} are broken, one after the other`);
  return { chosen, places: all.length };
}

/**
 * Makes the copy the same as the tree; what is the same already keeps its time, so that nothing is
 * built twice.
 */
function refresh() {
  const listed = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 });
  const wanted = new Set(listed.stdout.split('\0').filter((file) => file !== '' && existsSync(join(root, file)) && statSync(join(root, file)).isFile()));
  const list = join(output, 'files.json');
  mkdirSync(tree, { recursive: true });
  const had = existsSync(list) ? JSON.parse(readFileSync(list, 'utf8')) : [];
  for (const file of had) if (!wanted.has(file)) rmSync(join(tree, file), { force: true });
  for (const file of wanted) {
    const [from, to] = [join(root, file), join(tree, file)];
    if (existsSync(to) && readFileSync(to).equals(readFileSync(from))) continue;
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(from, to);
  }
  writeFileSync(list, JSON.stringify([...wanted]));
}

/**
 * Builds all breaks of a package, leaves out what does not compile together, and tries one after
 * the other.
 */
async function tryAll(name, mutants) {
  write(name, []);
  let together = withParts(mutants);
  const alone = mutants.filter((mutant) => !together.includes(mutant));
  let tests;
  for (;;) {
    write(name, together);
    const built = await build(name, mutants);
    if (built.tests !== undefined) {
      ({ tests } = built);
      break;
    }
    const wrong = together.filter(({ file, lines: [first, last] }) => built.errors.some((error) => error.file === file && error.line >= first && error.line <= last));
    if (wrong.length === 0) fail(`${name} does not compile: ${built.text}`);
    console.log(`${name}: ${wrong.length} do not compile with the others`);
    together = together.filter((mutant) => !wrong.includes(mutant));
    alone.push(...wrong);
  }
  for (const test of tests) {
    const began = Date.now();
    const { failed } = await runTests(test, 0, Infinity);
    if (failed !== undefined) fail(`a test fails although nothing is broken: ${failed}`);
    test.limit = Math.max(AT_LEAST_MS, SLOWER * (Date.now() - began));
  }
  const limits = new Map(tests.map(({ target, limit }) => [target, limit]));
  for (const mutant of together) note(mutant, await notice(tests, mutant, mutant.number));
  for (const mutant of alone) {
    write(name, []);
    const text = textOf(mutant.file);
    const [from, to] = [offset(text, mutant.span.start), offset(text, mutant.span.end)];
    writeFileSync(join(tree, mutant.file), text.slice(0, from) + mutant.replacement + text.slice(to));
    const built = await build(name, [mutant], true);
    for (const test of built.tests ?? []) test.limit = limits.get(test.target) ?? AT_LEAST_MS;
    note(mutant, built.tests === undefined ? { state: 'unviable' } : await notice(built.tests, mutant, 0));
  }
  write(name, []);
}

function note(mutant, outcome) {
  outcomes.set(mutant.key, { key: mutant.key, name: mutant.name, ...outcome });
  writeFileSync(results, JSON.stringify([...outcomes.values()], undefined, 1));
  console.log(`${outcomes.size}/${chosen.length} ${outcome.state}${outcome.by ? ` (${outcome.by})` : ''}: ${mutant.name}`);
}

// Breaking.

/** Those whose operands, pattern or body can be found, with them. */
function withParts(mutants) {
  const built = spawnSync('cargo', ['build', '--quiet'], { cwd: join(root, 'scripts', 'mutants'), stdio: 'inherit', env: { ...process.env, CARGO_TARGET_DIR: join(output, 'places') } });
  if (built.status !== 0) fail('scripts/mutants could not be built');
  const found = new Map();
  const said = spawnSync(join(output, 'places', 'debug', 'places'), [...new Set(mutants.map(({ file }) => file))], { cwd: tree, encoding: 'utf8', maxBuffer: 2 ** 28 });
  for (const line of said.stdout.trim().split('\n')) {
    const [file, kind, ...numbers] = line.split(' ');
    const at = numbers.map(Number);
    const positions = [];
    for (let i = 0; i < at.length; i += 2) positions.push({ line: at[i], column: at[i + 1] });
    const [begin, ...parts] = positions;
    const one = { kind, parts };
    found.set(`${file} ${kind} ${begin.line}:${begin.column}`, one);
    if (kind === 'arm' && parts.length > 2) found.set(`${file} guard ${parts[2].line}:${parts[2].column}`, one);
  }
  const KINDS = { BinaryOperator: 'binary', UnaryOperator: 'unary', MatchArm: 'arm', MatchArmGuard: 'guard' };
  return mutants.filter((mutant) => {
    const { start, end } = mutant.span;
    mutant.lines = [start.line, end.line];
    if (mutant.genre === 'FnValue') return true;
    const one = found.get(`${mutant.file} ${KINDS[mutant.genre]} ${start.line}:${start.column}`);
    if (one === undefined) return false;
    mutant.parts = one.parts;
    mutant.lines = [Math.min(start.line, one.parts[0].line), Math.max(end.line, one.parts.at(-1).line)];
    return true;
  });
}

/** Writes the files of a package, with these breaks in them. */
function write(name, mutants) {
  const lib = libOf(name);
  const touched = new Set([...chosen.filter((mutant) => mutant.package === name).map(({ file }) => file), lib]);
  for (const file of touched) {
    let text = textOf(file);
    const here = mutants.filter((mutant) => mutant.file === file);
    if (here.length > 0) text = breakText(text, here);
    if (file === lib && mutants.length > 0) text += SWITCH;
    const path = join(tree, file);
    if (readFileSync(path, 'utf8') !== text) writeFileSync(path, text);
  }
}

function libOf(name) {
  return `crates/${name}/src/lib.rs`;
}

/** A text with all these breaks, each behind its number. Lines stay where they are. */
function breakText(text, mutants) {
  const on = ({ number }) => `crate::broken::on(${number})`;
  const at = (position) => offset(text, position);
  const flat = (code) => uncommented(code.replaceAll('\n', ' '));
  /** `(if on(1) { .. } else if on(2) { .. } else { as it is })` */
  const choice = (breaks, plain, asItIs) => `(${breaks.map((mutant) => `if ${on(mutant)} { ${flat(plain(mutant))} } else `).join('')}{ ${asItIs} })`;
  const nodes = new Map();
  for (const mutant of mutants) {
    const place = `${mutant.genre} ${at(mutant.span.start)}`;
    if (nodes.has(place)) nodes.get(place).push(mutant);
    else nodes.set(place, [mutant]);
  }
  const edits = [...nodes.values()].map((breaks) => {
    const [{ genre, span, parts = [] }] = breaks;
    const [from, to] = [at(span.start), at(span.end)];
    const [a, b, c, d] = parts.map(at);
    switch (genre) {
      case 'FnValue':
        return { from, to: from, rank: 0, text: () => breaks.map((mutant) => `if ${on(mutant)} { return ${flat(mutant.replacement)}; } `).join('') };
      case 'BinaryOperator': {
        const plain = ({ replacement }) => `${text.slice(a, from)} ${replacement} ${text.slice(to, d)}`;
        return { from: a, to: d, rank: 2, text: (inner) => choice(breaks, plain, inner(a, b) + text.slice(b, c) + inner(c, d)) };
      }
      case 'UnaryOperator':
        return { from, to: b, rank: 2, text: (inner) => choice(breaks, () => text.slice(a, b), text.slice(from, a) + inner(a, b)) };
      case 'MatchArmGuard':
        return { from, to, rank: 1, text: (inner) => choice(breaks, ({ replacement }) => replacement, inner(from, to)) };
      case 'MatchArm':
        if (c === undefined) return { from: b, to: b, rank: 0, text: () => ` if !${on(breaks[0])}` };
        return { from: c, to: d, rank: 0, text: (inner) => `!${on(breaks[0])} && (${inner(c, d)})` };
    }
    throw new Error(`unknown: ${genre}`);
  });
  // The outer before what is in it.
  edits.sort((one, other) => one.from - other.from || other.to - one.to || one.rank - other.rank);
  const render = (from, to, inside) => {
    let out = '';
    let done = from;
    inside.forEach((edit, i) => {
      if (edit.from < done) return;
      const within = edit.to > edit.from ? inside.slice(i + 1) : [];
      out += text.slice(done, edit.from) + edit.text((a, b) => render(a, b, within.filter((other) => other.from >= a && other.to <= b)));
      done = edit.to;
    });
    return out + text.slice(done, to);
  };
  return render(0, text.length, edits);
}

/** On one line a comment would take the rest with it. */
function uncommented(code) {
  return code.includes('//') ? code.replace(/\/\/.*/, '') : code;
}

/** Where a line and column, both counted from one, are in a text. */
function offset(text, { line, column }) {
  let at = 0;
  for (let i = 1; i < line; i++) at = text.indexOf('\n', at) + 1;
  const end = text.indexOf('\n', at);
  return at + [...text.slice(at, end < 0 ? undefined : end)].slice(0, column - 1).join('').length;
}

/** A file as it was at the start: the tree may go on. */
function textOf(file) {
  if (!texts.has(file)) texts.set(file, readFileSync(join(root, file), 'utf8'));
  return texts.get(file);
}

// Building and testing.

/** The integration tests of these, in their order; the unit tests come before. */
function targetsOf(mutants) {
  return [...new Set(mutants.flatMap(({ file }) => TESTS.find(([start]) => file.startsWith(start))?.[1] ?? []))];
}

/** Builds the tests that these may need: `tests`, or `errors` with their places. */
async function build(name, mutants, once = false) {
  const targets = targetsOf(mutants);
  const args = ['test', '--no-run', '--package', name, '--lib', ...targets.flatMap((target) => ['--test', target])];
  // Unoptimized it takes most of the tests' time; all that it depends on stays as it is.
  if (!once) args.push('--config', `profile.dev.package.${name}.opt-level=1`);
  for (const feature of FEATURES[name] ?? []) args.push('--features', `${name}/${feature}`);
  // Line numbers are of no use to anyone here, and cost a third of the building.
  const env = { CARGO_TARGET_DIR: join(output, 'build'), CARGO_PROFILE_DEV_DEBUG: '0', CARGO_INCREMENTAL: '1', RUSTFLAGS: '--cap-lints=allow' };
  // Most of those that are built alone do not compile, which shows sooner without making anything.
  if (once && (await run('cargo', ['check', '--package', name, '--lib'], { env, limit: Infinity })).status !== 0) return { errors: [] };
  const { status, stdout, stderr } = await run('cargo', [...args, '--message-format', 'json'], { env, limit: Infinity });
  const messages = stdout.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
  if (status === 0) {
    const made = messages.filter(({ reason, executable, profile }) => reason === 'compiler-artifact' && executable && profile.test);
    const order = (target) => targets.indexOf(target);
    const tests = made.map(({ executable, target, manifest_path: manifest }) => ({ executable, target: target.name, folder: dirname(manifest), isLib: target.kind.includes('lib') }));
    return { tests: tests.sort((a, b) => b.isLib - a.isLib || order(a.target) - order(b.target)) };
  }
  const errors = messages.filter(({ reason, message }) => reason === 'compiler-message' && message.level === 'error').flatMap(({ message }) => message.spans.map((span) => ({ file: span.file_name, line: span.line_start, primary: span.is_primary })));
  const primary = errors.filter((error) => error.primary);
  return { errors: primary.length > 0 ? primary : errors, text: messages.map(({ message }) => message?.rendered ?? '').join('') + stderr };
}

/** What notices this break: a unit test, or one of the integration tests that fit its file. */
async function notice(tests, mutant, number) {
  const fitting = targetsOf([mutant]);
  // Of the unit tests those of the same module first.
  const module = mutant.file.replace(/^.*\/src\//, '').replace(/(\/mod)?\.rs$/, '').replaceAll('/', '::');
  const turns = tests.flatMap((test) => (test.isLib ? [{ test, args: [`${module}::`] }, { test, args: [] }] : fitting.includes(test.target) ? [{ test, args: [] }] : []));
  for (const { test, args } of turns) {
    for (let i = 0; i < 3; i++) {
      const { failed, late } = await runTests(test, number, test.limit, args);
      if (late) return { state: 'killed', by: 'time limit' };
      if (failed === undefined) break;
      // Once more and alone, so that a busy machine kills nothing.
      if (!failed.startsWith('test ')) return { state: 'killed', by: failed };
      const name = failed.slice(5);
      const alone = await runTests(test, number, test.limit, ['--exact', name]);
      if (alone.failed !== undefined || alone.late) return { state: 'killed', by: name };
    }
  }
  return { state: 'survived' };
}

/** The first that fails ends it. */
async function runTests({ executable, folder }, number, limit, args = []) {
  let failed;
  const look = (line, stop) => {
    const name = /^test (\S+) (?:- should panic )?\.\.\. FAILED/.exec(line)?.[1];
    if (name === undefined) return;
    failed ??= `test ${name}`;
    stop();
  };
  const { status, signal, late } = await run(executable, args, { env: { [NUMBER]: String(number), RUST_BACKTRACE: '0' }, limit, cwd: folder, look, bounded: true });
  if (late) return { late };
  return { failed: failed ?? (status === 0 ? undefined : `ended with ${status ?? signal}`) };
}

function run(command, args, { env, limit, cwd = tree, look, bounded = false }) {
  const shell = bounded && process.platform !== 'win32' ? ['sh', ['-c', `ulimit -v ${MEMORY_KIB} 2>/dev/null; exec "$@"`, 'sh', command, ...args]] : [command, args];
  // A group of its own, so that what a test has started ends with it.
  const child = spawn(...shell, { cwd, env: { ...process.env, ...env, CARGO_TERM_COLOR: 'never' }, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const stop = () => {
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  };
  const said = { stdout: '', stderr: '' };
  let line = '';
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => {
      said[name] += text;
      if (name !== 'stdout' || look === undefined) return;
      const lines = (line + text).split('\n');
      line = lines.pop();
      for (const whole of lines) look(whole, stop);
    });
  }
  return new Promise((resolve) => {
    let late = false;
    const timer = limit === Infinity ? undefined : setTimeout(() => stop((late = true)), limit);
    child.on('exit', (status, signal) => {
      clearTimeout(timer);
      stop();
      child.on('close', () => resolve({ status, signal, late, ...said }));
    });
  });
}

// What came of it.

function read() {
  if (!existsSync(results)) fail(`nothing was tried before: there is no ${results}`, 2);
  return new Map(JSON.parse(readFileSync(results, 'utf8')).map((outcome) => [outcome.key, outcome]));
}

function report() {
  const of = (state) => [...outcomes.values()].filter((outcome) => outcome.state === state);
  const [killed, survived, unviable] = ['killed', 'survived', 'unviable'].map(of);
  if (survived.length > 0) console.log(`\nsurvived:\n${survived.map(({ name }) => name).join('\n')}`);
  const judged = killed.length + survived.length;
  const late = killed.filter(({ by }) => by === 'time limit').length;
  console.log(
    `\nkilled ${killed.length} of ${judged} (${((100 * killed.length) / judged).toFixed(1)} %), ${late} of them by the time limit; ` +
      `survived ${survived.length}; ${unviable.length} do not compile; ${places} places in all`,
  );
  process.exitCode = survived.length === 0 ? 0 : 1;
}

function fail(text, code = 1) {
  console.error(text);
  process.exit(code);
}
