// What `npm test` consists of, in order. A step: { part, name, after?, missing?, run }.
//   after     names of steps that must not have failed; they run whenever this one runs
//   missing   resolves to { why, enable } if this cannot run here
//   run       resolves to { passed, failed, skipped, flaky?, log? }, or throws a StepFailed
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';

import { missing as autobahnMissing, runAutobahn } from '../conformance/autobahn/run.mjs';
import { platformSteps } from '../platforms/steps.mjs';
import { logOf, must, onWindows, root, run, StepFailed } from './child.mjs';
import { bunCounts, cargoCounts, nextestCounts, nodeCounts } from './counts.mjs';
import { AGAIN, flakyFiles } from './flaky.mjs';
import { findBun, findNode, NODE_VERSIONS } from './runtimes.mjs';

const one = { passed: 1, failed: 0, skipped: 0 };
const answers = (command, ...args) => spawnSync(command, args, { cwd: root, timeout: 60_000 }).status === 0;
const bin = (name) => path.join(root, 'node_modules/.bin', onWindows ? `${name}.cmd` : name);

/** A step that is one check: it passes or fails. */
const check = (part, name, command, args, { minutes = 10, ...more } = {}) => ({
  part,
  name,
  ...more,
  run: async () => {
    await must(command, args, { log: logOf(name), minutes, env: more.env });
    return one;
  },
});

/** Fails unless the child succeeded and ran at least one test. */
function judged(name, end, counts, log) {
  const { passed, failed } = counts;
  if (end.code === 0 && failed === 0 && passed > 0) return counts;
  const why = end.timedOut ? 'stopped by its time limit' : failed > 0 ? `${failed} failed` : passed === 0 && end.code === 0 ? 'ran no test' : `status ${end.code ?? end.signal}`;
  throw new StepFailed(`${why}, full output in ${path.relative(root, log)}`, { log, counts });
}

const files = (folder, pattern = /\.test\.[cm]js$/) => {
  const full = path.join(root, folder);
  if (!existsSync(full)) return [];
  return readdirSync(full).filter((name) => pattern.test(name)).sort().map((name) => path.join(folder, name));
};

const [major, minor] = process.versions.node.split('.').map(Number);
/** For files that mostly wait: two at a time, if this Node has the option. */
const twoAtATime = major > 20 || (major === 20 && minor >= 10) ? ['--test-concurrency=2'] : [];

/** Test files run by node:test, all on this Node. */
const nodeTest = (part, name, tests, { minutes = 10, env, flags = [], ...more } = {}) => ({
  part,
  name,
  after: ['build'],
  ...more,
  run: async () => {
    const log = logOf(name);
    const extra = typeof env === 'function' ? await env() : env;
    const args = ['--test', ...flags, '--test-reporter=spec'];
    const end = await run(process.execPath, [...args, ...tests], { log, minutes, env: extra });
    const counts = nodeCounts(end.text);
    if (end.timedOut || counts.failed === 0) return judged(name, end, counts, log);
    const flaky = await flakyFiles(end.text, async (file, time) => {
      const again = await run(process.execPath, [...args, file], { log: logOf(`${name} again ${path.basename(file)} ${time}`), minutes, env: extra });
      const { passed, failed } = nodeCounts(again.text);
      return again.code === 0 && failed === 0 && passed > 0;
    });
    if (flaky.length === 0) return judged(name, end, counts, log);
    const note = `FLAKY: ${counts.failed} failed of ${flaky.join(', ')}, then passed ${AGAIN} times; full output in ${path.relative(root, log)}`;
    return { passed: counts.passed, failed: 0, skipped: counts.skipped, flaky: counts.failed, note, log };
  },
});

const cargoMissing = () => (answers('cargo', '--version') ? undefined : { why: 'no cargo', enable: 'install Rust from https://rustup.rs' });
const component = (name) => () =>
  answers('cargo', name, '--version') ? undefined : { why: `no cargo ${name}`, enable: `rustup component add ${name === 'fmt' ? 'rustfmt' : name}` };

const rust = [
  check('rust', 'rustfmt', 'cargo', ['fmt', '--all', '--check'], { missing: component('fmt') }),
  check('rust', 'clippy', 'cargo', ['clippy', '--workspace', '--all-targets', '--locked', '--', '-D', 'warnings'], { missing: component('clippy'), minutes: 20 }),
  {
    part: 'rust',
    name: 'cargo test',
    missing: cargoMissing,
    run: async (name) => {
      const log = logOf(name);
      const nextest = answers('cargo', 'nextest', '--version');
      const args = nextest ? ['nextest', 'run', '--no-fail-fast', '--status-level', 'fail', '--failure-output', 'final'] : ['test', '--all-targets', '--no-fail-fast'];
      const end = await run('cargo', [...args, '--workspace', '--locked'], { log, minutes: 20 });
      return judged(name, end, nextest ? nextestCounts(end.text) : cargoCounts(end.text), log);
    },
  },
  {
    part: 'rust',
    name: 'models of concurrency',
    missing: cargoMissing,
    run: async (name) => {
      const log = logOf(name);
      const features = 'wsbroker/loom,wsbroker-core/loom';
      const end = await run('cargo', ['test', '--locked', '-p', 'wsbroker', '-p', 'wsbroker-core', '--features', features, '--lib', 'models::'], { log, minutes: 20 });
      return judged(name, end, cargoCounts(end.text), log);
    },
  },
  {
    part: 'rust',
    name: 'cargo doctests',
    missing: cargoMissing,
    run: async (name) => {
      const log = logOf(name);
      const end = await run('cargo', ['test', '--doc', '--workspace', '--locked'], { log, minutes: 15 });
      const counts = cargoCounts(end.text);
      // Having no examples is not a failure.
      return judged(name, end, counts.failed === 0 && end.code === 0 ? { ...counts, passed: Math.max(1, counts.passed) } : counts, log);
    },
  },
];

const GENERATED = ['lib', 'docs/reference.md', 'platforms', 'src/native.cts', 'src/native/shared-numbers.cts', 'src/native/packages.cts'];
const SOURCES = ['src', 'crates/wsbroker/src', 'scripts', 'package.json'];
const git = (...args) => spawnSync('git', args, { cwd: root, encoding: 'utf8' });

const build = [
  check('build', 'build', process.execPath, ['scripts/build.mjs'], { minutes: 25, missing: cargoMissing }),
  {
    part: 'generated',
    name: 'generated files',
    after: ['build'],
    missing: () => (git('rev-parse', '--is-inside-work-tree').status === 0 ? undefined : { why: 'no git checkout', enable: 'git clone the repository' }),
    run: async (name) => {
      const log = logOf(name);
      for (const script of ['docs', 'platforms']) {
        if (existsSync(path.join(root, `scripts/${script}.mjs`))) await must(process.execPath, [`scripts/${script}.mjs`], { log, minutes: 3 });
      }
      const dirty = git('status', '--porcelain', '--', ...GENERATED).stdout;
      if (dirty === '') return one;
      const editing = git('status', '--porcelain', '--', ...SOURCES).stdout;
      // With changed sources the generated files have just been regenerated: both are committed
      // together.
      if (editing !== '' && process.env.CI !== 'true') return { ...one, note: `to be committed together with the sources:\n${dirty}` };
      await run('git', ['--no-pager', 'diff', '--stat', '--', ...GENERATED], { log });
      throw new StepFailed(`differ from what the sources generate; commit the output of npm run build and npm run docs:\n${dirty}`, { log });
    },
  },
];

const tsc = bin('tsc');
const types = [
  check('types', 'names', process.execPath, ['scripts/lint-names.mjs']),
  check('types', 'imports', process.execPath, ['scripts/lint-imports.mjs']),
  check('types', 'width of comments', process.execPath, ['scripts/lint-comments.mjs']),
  check('types', 'words', process.execPath, ['scripts/lint-words.mjs']),
  check('types', 'TypeScript', tsc, ['-p', '.']),
  ...(existsSync(path.join(root, 'test/types/tsconfig.json')) ? [
    check('types', 'type tests', tsc, ['-p', 'test/types', '--noEmit'], { after: ['TypeScript'] }),
    check('types', 'types without @types/node', tsc, ['-p', 'test/types/bare'], { after: ['TypeScript'] }),
  ] : []),
];

const e2e = files('test/e2e');
const onRuntime = (part, name, find, tests, more) => {
  let found;
  const look = async () => (found ??= await find());
  return nodeTest(part, name, tests, {
    minutes: 15,
    missing: async () => ((await look()).binary ? undefined : look()),
    env: async () => ({ WSB_RUNTIME: (await look()).binary }),
    ...more,
  });
};
const runtimes = [
  ...NODE_VERSIONS.map((version) => ({ name: `Node ${version.split('.')[0]}`, find: () => findNode(version) })),
  { name: 'Bun', find: findBun },
].map(({ name, find }) => onRuntime('e2e', `e2e on ${name}`, find, e2e));

/** Those of the client that need no server and no build for browsers. */
const onStandIns = files('test/client').filter((file) => !/(sockets|size)\.test\.mjs$/.test(file)).map((file) => `./${file}`);
/** `wsbroker/client`: where there is a WebSocket for programs. */
const client = [
  { name: 'Node 26', find: () => findNode(NODE_VERSIONS.at(-1)), args: ['--test', '--test-reporter=spec'], counts: nodeCounts },
  { name: 'Bun', find: findBun, args: ['test'], counts: bunCounts },
].flatMap(({ name, find, args, counts }) => [
  {
    part: 'client',
    name: `the client on ${name}`,
    after: ['TypeScript'],
    missing: async () => ((await find()).binary ? undefined : find()),
    run: async (step) => {
      const log = logOf(step);
      const end = await run((await find()).binary, [...args, ...onStandIns], { log });
      return judged(step, end, counts(end.text), log);
    },
  },
  onRuntime('client', `the client and its server on ${name}`, find, ['test/client/sockets.test.mjs']),
]);
client.push(nodeTest('client', 'the size of the client', ['test/client/size.test.mjs'], { after: ['TypeScript'] }));

/** Hostile peers: larger and longer with ABUSE=full. */
const abuse = [
  { name: 'Node', find: () => ({ binary: process.execPath }) },
  { name: 'Bun', find: findBun },
].map(({ name, find }) => onRuntime('abuse', `abuse on ${name}`, find, files('test/abuse'), { minutes: process.env.ABUSE === 'full' ? 60 : 10, flags: twoAtATime }));

const leak = check('abuse', 'leak run', process.execPath, ['test/leak/run.mjs', '50000'], { minutes: 15, after: ['build'], missing: cargoMissing });
const redisMissing = () => (answers('redis-server', '--version') ? undefined : { why: 'no redis-server', enable: 'apt-get install redis-server' });
const redis = [
  {
    part: 'redis',
    name: 'the bus',
    missing: () => cargoMissing() ?? redisMissing(),
    run: async (name) => {
      const log = logOf(name);
      const end = await run('cargo', ['test', '-p', 'wsbroker-redis', '--features', 'redis-tests', '--test', 'cluster', '--locked'], { log, minutes: 15 });
      return judged(name, end, cargoCounts(end.text), log);
    },
  },
  ...[
    { name: 'Node', find: () => ({ binary: process.execPath }) },
    { name: 'Bun', find: findBun },
  ].map(({ name, find }) => onRuntime('redis', `instances on ${name}`, find, files('test/redis'), { missing: async () => redisMissing() ?? ((await find()).binary ? undefined : find()) })),
];

/** The server helper: on stand-ins everywhere, then on the real thing. */
const helper = (() => {
  const all = files('test/helper');
  const real = all.filter((name) => /[\\/](real-|interop)/.test(name));
  const native = all.filter((name) => /[\\/]native/.test(name));
  const rules = all.filter((name) => /[\\/](messages|auth|encryption|rooms|life|sending|redis)\./.test(name));
  const onNative = ({ name, find }) => onRuntime('helper', `the native helper on ${name}`, find, native, {
    missing: async () => redisMissing() ?? ((await find()).binary ? undefined : find()),
    flags: twoAtATime,
    after: ['build'],
  });
  return [
    nodeTest('helper', 'the helper on stand-ins', all.filter((name) => !real.includes(name) && !native.includes(name)), { after: ['TypeScript'] }),
    nodeTest('helper', 'the rules where answers come late', rules, {
      after: ['TypeScript'],
      env: { WSB_WORLD: 'test/helper/late-world.mjs' },
    }),
    nodeTest('helper', 'the rules on native sockets', rules, { after: ['build'], env: { WSB_WORLD: 'test/helper/native-world.mjs' } }),
    nodeTest('helper', 'the helper on Redis and Bun', real, {
      after: ['TypeScript'],
      flags: twoAtATime,
      missing: async () => redisMissing() ?? ((await findBun()).binary ? undefined : findBun()),
    }),
    ...[{ name: 'Node', find: () => ({ binary: process.execPath }) }, { name: 'Bun', find: findBun }].map(onNative),
  ];
})();

/**
 * What others have written for servers like this one: the oldest Node that each of them supports,
 * by its own package.json. What tests nobody else's code runs everywhere.
 */
const OLDEST_NODE = { graphql: 20, h3: 20, hocuspocus: 22, nest: 20, nitro: 20, runners: 22 };
const ecosystem = [
  ...[18, 26].map((node) => ({ name: `Node ${node}`, node, find: () => findNode(NODE_VERSIONS.find((version) => version.startsWith(`${node}.`))) })),
  { name: 'Bun', node: Infinity, find: findBun },
].map(({ name, node, find }) => {
  const oldest = (file) => OLDEST_NODE[path.basename(file).split('.')[0]] ?? 0;
  const all = files('test/ecosystem');
  const step = onRuntime('ecosystem', `ecosystem on ${name}`, find, all.filter((file) => oldest(file) <= node), {
    flags: twoAtATime,
    missing: async () => redisMissing() ?? ((await find()).binary ? undefined : find()),
  });
  const others = all.filter((file) => oldest(file) > node).map((file) => `${path.basename(file).split('.')[0]} (Node ${oldest(file)})`);
  const note = others.length > 0 ? `not for this runtime, by their own "engines": ${others.join(', ')}` : '';
  return { ...step, run: async (...args) => ({ ...(await step.run(...args)), note }) };
});

const browserMissing = () => {
  const wanted = process.env.CHROMIUM ?? '/usr/bin/chromium';
  if (!existsSync(wanted)) return { why: `no Chromium at ${wanted}`, enable: 'apt-get install chromium, or CHROMIUM=/path/to/chromium' };
  return undefined;
};

/** A folder without tests makes no step. */
const folder = (part, name, where, more) => {
  const tests = files(where);
  return tests.length > 0 ? [nodeTest(part, name, tests, more)] : [];
};

export const steps = [
  ...rust,
  ...build,
  ...types,
  // With a stand-in for the addon.
  ...folder('unit', 'unit tests', 'test/unit', { after: ['TypeScript'] }),
  ...folder('native', 'the addon alone', 'test/native', {}),
  check('package', 'licenses', 'cargo', ['deny', 'check', 'licenses', 'bans', 'sources'], {
    missing: () => (answers('cargo', 'deny', '--version') ? undefined : { why: 'no cargo-deny', enable: 'cargo install cargo-deny' }),
  }),
  ...folder('package', 'the packages of a release', 'test/package', {}),
  ...runtimes,
  ...client,
  ...abuse,
  leak,
  ...redis,
  ...helper,
  ...ecosystem,
  // The tests report themselves which programs are missing.
  ...folder('clients', 'real clients and proxies', 'test/clients', { minutes: 15 }),
  ...folder('browser', 'browser', 'test/browser', { missing: browserMissing }),
  nodeTest('readme', 'the documentation: code, links', ['test/docs.test.mjs'], { after: ['TypeScript'] }),
  nodeTest('readme', 'the documentation: programs', ['test/readme.test.mjs'], {
    minutes: 15,
    env: async () => ({ BUN: (await findBun()).binary ?? '' }),
    missing: async () => ((await findBun()).binary ? undefined : findBun()),
  }),
  { part: 'autobahn', name: 'Autobahn', after: ['build'], missing: autobahnMissing, run: () => runAutobahn() },
  ...platformSteps,
];

export const parts = [...new Set(steps.map((step) => step.part))];
