// The steps of `npm test -- platforms`: the addon is built for other platforms, and runs there.
//
// x86-64 with musl is a folder without glibc, and has the whole end-to-end suite. ARM64 is emulated by
// qemu, which is slow, so it has only some of the tests. Windows is Wine: with PLATFORMS=full it has all
// of the suite that runs there, otherwise what Windows can be different in.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { works } from '../../scripts/cross/commands.mjs';
import { lacking } from '../../scripts/cross/debian.mjs';
import { fetchTools, standardLibrary } from '../../scripts/cross/tools.mjs';
import { platform } from '../../scripts/platforms.mjs';
import { logOf, root, run, StepFailed } from '../runner/child.mjs';
import { nodeCounts } from '../runner/counts.mjs';
import { AGAIN, flakyFiles } from '../runner/flaky.mjs';
import { arm64, asRoot, debianRoot, inside, muslRoot, stage, WINE, wineRoot } from './roots.mjs';
import { exclusions, ON_WINE, onWine, unknown, withoutTests } from './windows.mjs';

const asked = process.argv.includes('platforms');
const CI = process.env.CI === 'true';
/** Continuous integration, where this is one part of all. */
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

/**
 * Runs test files by `command(files)`, which is [program, arguments]. `left` says which others would
 * be there, and how to have them.
 */
async function tests(log, command, files, { minutes, env, left }) {
  const once = (some, into) => run(...command(some), { log: into, minutes, env });
  const end = await once(files, log);
  const counts = nodeCounts(end.text);
  // These systems have little more than a runtime, and the machine itself has run these tests. So
  // it is told, and no failure.
  const reasons = new Set(Array.from(end.text.matchAll(/^\s*﹣ .* # (.*)$/gm), ([, why]) => why));
  reasons.delete('test name does not match pattern');
  const notes = [reasons.size > 0 && `not there: ${[...reasons].join('; ')}`, left];
  const result = (more) => ({ ...counts, skipped: 0, ...more, note: notes.filter(Boolean).join('\n    ') });
  if (end.code === 0 && counts.failed === 0 && counts.passed > 0) return result();
  const flaky = end.timedOut || counts.failed === 0 ? [] : await flakyFiles(end.text, async (file, time) => {
    const again = await once([file], log.replace(/\.log$/, `-again-${file.replace(/^.*[\\/]/, '')}-${time}.log`));
    const { passed, failed } = nodeCounts(again.text);
    return again.code === 0 && failed === 0 && passed > 0;
  });
  if (flaky.length > 0) {
    notes.unshift(`FLAKY: ${counts.failed} failed of ${flaky.join(', ')}, then passed ${AGAIN} times; full output in ${path.relative(root, log)}`);
    return result({ failed: 0, flaky: counts.failed, log });
  }
  throw new StepFailed(`${end.timedOut ? 'stopped by its time limit' : `${counts.failed} failed, status ${end.code ?? end.signal}`}, full output in ${path.relative(root, log)}`, { log, counts });
}

const addon = (name) => path.join(root, 'target/cross', name, `wsbroker.${name}.node`);
const e2e = existsSync(path.join(root, 'test/e2e')) ? readdirSync(path.join(root, 'test/e2e')).filter((name) => name.endsWith('.test.mjs')).map((name) => name.split('.')[0]).sort() : [];
const notAll = (chosen, of) => (full || chosen.length === of.length ? '' : `${of.length - chosen.length} of ${of.length} files are not run: ${FULL}`);
const paths = (names) => names.map((name) => `test/e2e/${name}.test.mjs`);
const TEST = ['--test', '--test-reporter=spec'];

const MINGW = 'win32-x64-gnu';
const OWN = 'linux-x64-gnu';
const SYSTEM = { [OWN]: debianRoot, 'linux-x64-musl': muslRoot, 'linux-arm64-gnu': () => arm64('gnu'), 'linux-arm64-musl': () => arm64('musl'), [MINGW]: wineRoot };
const released = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')).napi.targets.map(platform);
const tripleOf = (target) => (target === MINGW ? 'x86_64-pc-windows-gnu' : released.find(({ name }) => name === target).triple);

const onMusl = (name, runtime) =>
  step(
    name,
    ['linux-x64-musl'],
    (log) => {
      const lib = stage('linux-x64-musl', addon('linux-x64-musl'));
      const env = { WSB_RUNTIME: runtime, WSB_DEADLINE: '60000' };
      const command = (files) => inside(muslRoot(), ['node', ...TEST, '--test-concurrency=2', ...files], { lib, env });
      return tests(log, command, paths(e2e), { minutes: 20 });
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
      const command = (files) => [process.execPath, [...TEST, '--test-concurrency=2', `--test-name-pattern=${EMULATED}`, ...files]];
      const env = { WSB_RUNTIME: arm64(libc)[runtime], WSB_PACKAGE: path.join(lib, 'index.cjs'), WSB_DEADLINE: '60000' };
      return tests(log, command, paths(['order', 'start', 'close']), { minutes: 15, env });
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
    const args = ['wine64', '/node.exe', ...TEST, ...withoutTests(), '--test-concurrency=2'];
    const command = (files) => inside(wineRoot(), [...args, ...files], { lib, ownTmp: true, env: { ...WINE, WSB_DEADLINE: '60000' } });
    const left = [notAll(chosen, possible), ...exclusions()].filter(Boolean).join('\n    ');
    return tests(log, command, paths(chosen), { minutes: full ? 60 : 15, left });
  },
  { missing: missingRoot, after: ['TypeScript', BUILT] },
);

/** An image of example/docker, with an addon for it. */
const image = (system, target, file, more) =>
  step(
    `the image of ${system}`,
    [target],
    (log) => {
      // sudo would leave the variables out.
      const env = Object.entries({ IMAGE: system, WSB_ADDON: file, PATH: process.env.PATH }).map(([key, value]) => `${key}=${value}`);
      const [program, ...args] = [...asRoot(), 'env', ...env, process.execPath, ...TEST];
      return tests(log, (files) => [program, [...args, ...files]], ['test/platforms/image.test.mjs'], { minutes: 10 });
    },
    more,
  );
const OWN_ADDON = path.join(root, `lib/wsbroker.${OWN}.node`);
const images = [
  // By command it takes the addon that is there.
  image('Debian', OWN, OWN_ADDON, {
    missing: () => missingRoot() ?? (everyTime || existsSync(OWN_ADDON) ? undefined : { why: 'no addon', enable: 'npm run debug' }),
    after: ['TypeScript', SYSTEMS, ...(everyTime ? ['build'] : [])],
  }),
  image('Alpine', 'linux-x64-musl', addon('linux-x64-musl'), { missing: missingRoot, after: ['TypeScript', BUILT] }),
];

/** As the release links it for glibc, on this machine's Node. */
const linkedByZig = step(
  'glibc as the release links it',
  [OWN],
  (log) => {
    const lib = stage(OWN, addon(OWN));
    const env = { WSB_PACKAGE: path.join(lib, 'index.cjs') };
    return tests(log, (files) => [process.execPath, [...TEST, ...files]], paths(['order', 'start']), { minutes: 5, env });
  },
  { after: ['TypeScript', BUILT] },
);

/** What is built and run, by target. */
const RUN = {
  [OWN]: [linkedByZig],
  'linux-x64-musl': [onMusl('Node with musl', '/usr/bin/node'), onMusl('Bun with musl', '/usr/bin/bun')],
  'linux-arm64-musl': [onArm64('ARM64 with musl on Node', 'musl', 'node'), onArm64('ARM64 with musl on Bun', 'musl', 'bun')],
  'linux-arm64-gnu': [onArm64('ARM64 with glibc on Node', 'gnu', 'node'), onArm64('ARM64 with glibc on Bun', 'gnu', 'bun')],
  [MINGW]: [windows],
};
const targets = Object.keys(RUN);
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
      for (const target of possible) await SYSTEM[target]();
      return { passed: possible.length, failed: 0, skipped: 0, note: lacks.join('; ') };
    },
  },
  step(BUILT, targets, (log, possible) => cross(log, 30, ...possible), { after: [SYSTEMS] }),
  step('compiled for other platforms', CHECKED, (log, possible) => cross(log, 15, '--check', ...possible), { after: [SYSTEMS] }),
  ...Object.values(RUN).flat(),
  ...images,
];
