// The steps of `npm test -- platforms`: the addon is built for other platforms, and runs there.
//
// x86-64 with musl is a folder without glibc. ARM64 is emulated by qemu, which is slow, so it has only
// some of the tests. Windows is Wine. With PLATFORMS=full, musl has the whole end-to-end suite and Wine
// all of it that runs there; otherwise they have what a system can be different in. Continuous
// integration leaves out what has not been steady on a busy machine, and says so.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { works } from '../../scripts/cross/commands.mjs';
import { lacking } from '../../scripts/cross/debian.mjs';
import { fetchTools, standardLibrary } from '../../scripts/cross/tools.mjs';
import { platform } from '../../scripts/platforms.mjs';
import { logOf, root, run, StepFailed } from '../runner/child.mjs';
import { nodeCounts } from '../runner/counts.mjs';
import { arm64, asRoot, inside, muslRoot, stage, WINE, wineRoot } from './roots.mjs';
import { exclusions, ON_WINE, onWine, unknown, withoutTests } from './windows.mjs';

const asked = process.argv.includes('platforms');
const CI = process.env.CI === 'true';
/** Continuous integration runs what is short, and has been steady. */
const everyTime = CI && !asked;
const full = process.env.PLATFORMS === 'full';
const FULL = 'PLATFORMS=full npm test -- platforms';

/** Why this cannot run here: for every step, and for those that change what the root folder is. */
function missing() {
  if (process.platform !== 'linux' || process.arch !== 'x64') return { why: 'only on Linux, x86-64', enable: 'run it there' };
  if (!asked && !CI) return { why: 'it takes a quarter of an hour', enable: 'npm test -- platforms' };
  const debian = lacking();
  if (debian !== undefined) return debian;
  if (!works('python3', '-m', 'pip', '--version')) return { why: 'no pip for zig and for Node with musl', enable: 'apt-get install python3-pip' };
  if (!works('x86_64-w64-mingw32-gcc', '--version')) return { why: 'no MinGW, which links for Wine', enable: 'apt-get install gcc-mingw-w64-x86-64-win32' };
  if (!works('cargo', '--version')) return { why: 'no cargo', enable: 'install Rust from https://rustup.rs' };
  return undefined;
}
const missingRoot = () => missing() ?? (asRoot() ? undefined : { why: 'chroot and mounts need root', enable: 'sudo npm test -- platforms' });

const SYSTEMS = 'systems of other platforms';
const BUILT = 'addons for other platforms';

/**
 * Why a target cannot be built today: the registries do not have what it needs. It is told, and fails
 * nothing: no change here would help.
 */
const lackOf = (target) => {
  const library = standardLibrary(tripleOf(target));
  if (library === undefined) return `${target} needs the standard library of Rust for it: rustup target add ${tripleOf(target)}`;
  // Only the library that comes with MinGW's start-up code has been seen to link.
  if (target === MINGW && library.source !== undefined) return `${target} needs rustup's library: rustup target add ${tripleOf(target)}`;
  return undefined;
};
const notHad = (lacks) => ({ passed: 0, failed: 0, skipped: 0, note: `NOT RUN: ${lacks.join('; ')}` });

/** A step for these targets, or for those of them that can be had today. */
const step = (name, targets, body, more = {}) => ({
  part: 'platforms',
  name,
  missing,
  ...more,
  run: async () => {
    const lacks = targets.map(lackOf).filter(Boolean);
    const possible = targets.filter((target) => lackOf(target) === undefined);
    if (possible.length === 0) return notHad(lacks);
    const result = await body(logOf(name), possible);
    return lacks.length > 0 ? { ...result, note: [result.note, notHad(lacks).note].filter(Boolean).join('; ') } : result;
  },
});

async function cross(log, minutes, ...args) {
  const end = await run(process.execPath, ['scripts/cross.mjs', '--debug', ...args], { log, minutes });
  if (end.code !== 0) throw new StepFailed(`status ${end.code ?? end.signal}, full output in ${path.relative(root, log)}`, { log });
  return { passed: args.filter((arg) => !arg.startsWith('-')).length, failed: 0, skipped: 0 };
}

/** Runs test files. `left` says which others would be there, and how to have them. */
async function tests(log, [command, args], { minutes, env, left }) {
  const end = await run(command, args, { log, minutes, env });
  const counts = nodeCounts(end.text);
  // These systems have little more than a runtime, and the machine itself has run these tests. So
  // it is told, and no failure.
  const reasons = new Set(Array.from(end.text.matchAll(/^\s*﹣ .* # (.*)$/gm), ([, why]) => why));
  reasons.delete('test name does not match pattern');
  const note = [reasons.size > 0 && `not there: ${[...reasons].join('; ')}`, left].filter(Boolean).join('\n    ');
  if (end.code === 0 && counts.failed === 0 && counts.passed > 0) return { ...counts, skipped: 0, note };
  throw new StepFailed(`${end.timedOut ? 'stopped by its time limit' : `${counts.failed} failed, status ${end.code ?? end.signal}`}, full output in ${path.relative(root, log)}`, { log, counts });
}

const addon = (name) => path.join(root, 'target/cross', name, `wsbroker.${name}.node`);
const e2e = existsSync(path.join(root, 'test/e2e')) ? readdirSync(path.join(root, 'test/e2e')).filter((name) => name.endsWith('.test.mjs')).map((name) => name.split('.')[0]).sort() : [];
/** What a system can be different in: sockets, threads, libraries in C, how a process begins and ends. */
const OF_THE_SYSTEM = ['deflate', 'descriptors', 'order', 'plain-http', 'shutdown', 'start', 'thread-end', 'tls', 'workers'];
const notAll = (chosen, of) => (full || chosen.length === of.length ? '' : `${of.length - chosen.length} of ${of.length} files are not run: ${FULL}`);
const paths = (names) => names.map((name) => `test/e2e/${name}.test.mjs`);
const TEST = ['--test', '--test-reporter=spec'];

const MINGW = 'win32-x64-gnu';
const SYSTEM = { 'linux-x64-musl': muslRoot, 'linux-arm64-gnu': () => arm64('gnu'), 'linux-arm64-musl': () => arm64('musl'), [MINGW]: wineRoot };
const released = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')).napi.targets.map(platform);
const tripleOf = (target) => (target === MINGW ? 'x86_64-pc-windows-gnu' : released.find(({ name }) => name === target).triple);

const onMusl = (name, runtime) =>
  step(
    name,
    ['linux-x64-musl'],
    (log) => {
      const lib = stage('linux-x64-musl', addon('linux-x64-musl'));
      const chosen = full ? e2e : OF_THE_SYSTEM;
      return tests(log, inside(muslRoot(), ['node', ...TEST, ...paths(chosen)], { lib, env: { WSB_RUNTIME: runtime, WSB_DEADLINE: '60000' } }), { minutes: full ? 40 : 15, left: notAll(chosen, e2e) });
    },
    { missing: missingRoot, after: ['TypeScript', BUILT] },
  );

/** One of each kind: emulated, a start takes seconds. The clients run on this machine's Node. */
const EMULATED = '^(1: every accepted|2: handlers of|3: sends, publishes|start resolves|a worker module may be|the close frame of|a client that resets)';
const onArm64 = (name, libc, runtime) =>
  step(
    name,
    [`linux-arm64-${libc}`],
    (log, [target]) => {
      const lib = stage(target, addon(target));
      const args = [...TEST, '--test-concurrency=2', `--test-name-pattern=${EMULATED}`, ...paths(['order', 'start', 'close'])];
      const env = { WSB_RUNTIME: arm64(libc)[runtime], WSB_PACKAGE: path.join(lib, 'index.cjs'), WSB_DEADLINE: '60000' };
      const left = everyTime ? 'not run: Bun there, and ARM64 with glibc: npm test -- platforms' : '';
      return tests(log, [process.execPath, args], { minutes: 15, env, left });
    },
    { after: ['TypeScript', BUILT] },
  );

const windows = step(
  'Windows (Wine) on Node',
  [MINGW],
  (log) => {
    const lib = stage('win32-x64-msvc', addon(MINGW));
    const wrong = unknown(e2e);
    if (wrong.length > 0) throw new StepFailed(`test/platforms/windows.mjs names files that are not there: ${wrong.join(', ')}`);
    const possible = onWine(e2e);
    const chosen = full ? possible : ON_WINE;
    const args = ['wine64', '/node.exe', ...TEST, ...withoutTests(), '--test-concurrency=2', ...paths(chosen)];
    const left = [notAll(chosen, possible), ...exclusions()].filter(Boolean).join('\n    ');
    return tests(log, inside(wineRoot(), args, { lib, ownTmp: true, env: { ...WINE, WSB_DEADLINE: '60000' } }), { minutes: full ? 60 : 15, left });
  },
  { missing: missingRoot, after: ['TypeScript', BUILT] },
);

/** What is built and run, by target. */
const RUN = [
  { target: 'linux-x64-musl', always: true, steps: [onMusl('Node with musl', '/usr/bin/node'), onMusl('Bun with musl', '/usr/bin/bun')] },
  { target: 'linux-arm64-musl', always: true, steps: [onArm64('ARM64 with musl on Node', 'musl', 'node'), ...(everyTime ? [] : [onArm64('ARM64 with musl on Bun', 'musl', 'bun')])] },
  { target: 'linux-arm64-gnu', steps: [onArm64('ARM64 with glibc on Node', 'gnu', 'node'), onArm64('ARM64 with glibc on Bun', 'gnu', 'bun')] },
  { target: MINGW, always: true, steps: [windows] },
].filter(({ always }) => always || !everyTime);
const targets = RUN.map(({ target }) => target);
const CHECKED = ['win32-x64-msvc', 'darwin-arm64'];

export const platformSteps = [
  {
    part: 'platforms',
    name: SYSTEMS,
    missing,
    run: async () => {
      const lacks = fetchTools([...targets, ...CHECKED].map(tripleOf));
      const possible = targets.filter((target) => lackOf(target) === undefined);
      if (possible.length === 0) return notHad(lacks);
      for (const target of possible) SYSTEM[target]();
      return { passed: possible.length, failed: 0, skipped: 0, note: lacks.join('; ') };
    },
  },
  step(BUILT, targets, (log, possible) => cross(log, 30, ...possible), { after: [SYSTEMS] }),
  step('compiled for other platforms', CHECKED, (log, possible) => cross(log, 15, '--check', ...possible), { after: [SYSTEMS] }),
  ...RUN.flatMap(({ steps }) => steps),
];
