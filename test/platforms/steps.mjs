// The steps of `npm test -- platforms`: the addon is built for other platforms, and runs there.
//
// x86-64 with musl is a folder without glibc. ARM64 is emulated by qemu, which is slow, so it has only
// some of the tests. Continuous integration has the steps with `always`, and of the end-to-end tests
// those that concern the system.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { works } from '../../scripts/cross/commands.mjs';
import { lacking } from '../../scripts/cross/debian.mjs';
import { fetchTools } from '../../scripts/cross/tools.mjs';
import { platform } from '../../scripts/platforms.mjs';
import { logOf, root, run, StepFailed } from '../runner/child.mjs';
import { nodeCounts } from '../runner/counts.mjs';
import { arm64, asRoot, inside, muslRoot, stage, WINE, wineRoot } from './roots.mjs';

const asked = process.argv.includes('platforms');
const CI = process.env.CI === 'true';
/** Continuous integration runs what is short, and has been steady. */
const everyTime = CI && !asked;

/** Why this cannot run here: for every step, and for those that change what the root folder is. */
function missing() {
  if (process.platform !== 'linux' || process.arch !== 'x64') return { why: 'only on Linux, x86-64', enable: 'run it there' };
  if (!asked && !CI) return { why: 'it takes a quarter of an hour', enable: 'npm test -- platforms' };
  const debian = lacking();
  if (debian !== undefined) return debian;
  if (!works('python3', '-m', 'pip', '--version')) return { why: 'no pip for zig and for Node with musl', enable: 'apt-get install python3-pip' };
  if (!everyTime && !works('x86_64-w64-mingw32-gcc', '--version')) return { why: 'no MinGW, which links for Wine', enable: 'apt-get install gcc-mingw-w64-x86-64' };
  if (!works('cargo', '--version')) return { why: 'no cargo', enable: 'install Rust from https://rustup.rs' };
  return undefined;
}
const missingRoot = () => missing() ?? (asRoot() ? undefined : { why: 'chroot and mounts need root', enable: 'sudo npm test -- platforms' });

const SYSTEMS = 'systems of other platforms';
const BUILT = 'addons for other platforms';

/** What the registries did not have today. It is told, and fails nothing: no change here would help. */
const lacks = [];
const notHad = () => ({ passed: 0, failed: 0, skipped: 0, note: `NOT RUN: ${lacks.join('; ')}` });

const step = (name, body, more = {}) => ({
  part: 'platforms',
  name,
  missing,
  ...more,
  run: async () => (lacks.length > 0 ? notHad() : body(logOf(name))),
});

async function cross(log, minutes, ...args) {
  const end = await run(process.execPath, ['scripts/cross.mjs', '--debug', ...args], { log, minutes });
  if (end.code !== 0) throw new StepFailed(`status ${end.code ?? end.signal}, full output in ${path.relative(root, log)}`, { log });
  return { passed: args.filter((arg) => !arg.startsWith('-')).length, failed: 0, skipped: 0 };
}

async function tests(log, [command, args], { minutes, env }) {
  const end = await run(command, args, { log, minutes, env });
  const counts = nodeCounts(end.text);
  // These systems have little more than a runtime, and the machine itself has run these tests. So
  // it is told, and no failure.
  const reasons = new Set(Array.from(end.text.matchAll(/^\s*﹣ .* # (.*)$/gm), ([, why]) => why));
  reasons.delete('test name does not match pattern');
  const note = reasons.size > 0 ? `not there: ${[...reasons].join('; ')}` : '';
  if (end.code === 0 && counts.failed === 0 && counts.passed > 0) return { ...counts, skipped: 0, note };
  throw new StepFailed(`${end.timedOut ? 'stopped by its time limit' : `${counts.failed} failed, status ${end.code ?? end.signal}`}, full output in ${path.relative(root, log)}`, { log, counts });
}

const addon = (name) => path.join(root, 'target/cross', name, `wsbroker.${name}.node`);
const e2e = existsSync(path.join(root, 'test/e2e')) ? readdirSync(path.join(root, 'test/e2e')).filter((name) => name.endsWith('.test.mjs')).sort() : [];
/** What a system can be different in: sockets, threads, libraries in C, how a process begins and ends. */
const OF_THE_SYSTEM = ['deflate', 'descriptors', 'order', 'plain-http', 'shutdown', 'start', 'thread-end', 'tls', 'workers'];
const files = e2e.filter((name) => !everyTime || OF_THE_SYSTEM.includes(name.split('.')[0])).map((name) => `test/e2e/${name}`);
const TEST = ['--test', '--test-reporter=spec'];

const SYSTEM = { 'linux-x64-musl': muslRoot, 'linux-arm64-gnu': () => arm64('gnu'), 'linux-arm64-musl': () => arm64('musl'), 'win32-x64-gnu': wineRoot };
const released = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')).napi.targets.map(platform);
const tripleOf = (target) => (target === 'win32-x64-gnu' ? 'x86_64-pc-windows-gnu' : released.find(({ name }) => name === target).triple);

const onMusl = (name, runtime) =>
  step(
    name,
    (log) => {
      const lib = stage('linux-x64-musl', addon('linux-x64-musl'));
      return tests(log, inside(muslRoot(), ['node', ...TEST, ...files], { lib, env: { WSB_RUNTIME: runtime, WSB_DEADLINE: '60000' } }), { minutes: 20 });
    },
    { missing: missingRoot, after: ['TypeScript', BUILT] },
  );

/** One of each kind: emulated, a start takes seconds. The clients run on this machine's Node. */
const EMULATED = '^(1: every accepted|2: handlers of|3: sends, publishes|start resolves|a worker module may be|the close frame of|a client that resets)';
const onArm64 = (name, libc, runtime) =>
  step(
    name,
    (log) => {
      const target = `linux-arm64-${libc}`;
      const lib = stage(target, addon(target));
      const args = [...TEST, '--test-concurrency=1', `--test-name-pattern=${EMULATED}`, 'test/e2e/order.test.mjs', 'test/e2e/start.test.mjs', 'test/e2e/close.test.mjs'];
      const env = { WSB_RUNTIME: arm64(libc)[runtime], WSB_PACKAGE: path.join(lib, 'index.cjs'), WSB_DEADLINE: '60000' };
      return tests(log, [process.execPath, args], { minutes: 10, env });
    },
    { after: ['TypeScript', BUILT] },
  );

/** On Wine, where only these have been tried. */
const onWine = step(
  'Windows (Wine) on Node',
  (log) => {
    const lib = stage('win32-x64-msvc', addon('win32-x64-gnu'));
    const args = ['wine64', '/node.exe', ...TEST, '--test-concurrency=1', 'test/e2e/order.test.mjs'];
    return tests(log, inside(wineRoot(), args, { lib, env: { ...WINE, WSB_DEADLINE: '60000' } }), { minutes: 15 });
  },
  { missing: missingRoot, after: ['TypeScript', BUILT] },
);

/** What is built and run, by target. */
const RUN = [
  { target: 'linux-x64-musl', always: true, steps: [onMusl('Node with musl', '/usr/bin/node'), onMusl('Bun with musl', '/usr/bin/bun')] },
  { target: 'linux-arm64-gnu', steps: [onArm64('ARM64 with glibc on Node', 'gnu', 'node'), onArm64('ARM64 with glibc on Bun', 'gnu', 'bun')] },
  { target: 'linux-arm64-musl', steps: [onArm64('ARM64 with musl on Node', 'musl', 'node'), onArm64('ARM64 with musl on Bun', 'musl', 'bun')] },
  { target: 'win32-x64-gnu', steps: [onWine] },
].filter(({ always }) => always || !everyTime);
const targets = RUN.map(({ target }) => target);
const CHECKED = everyTime ? [] : ['win32-x64-msvc', 'darwin-arm64'];

export const platformSteps = [
  {
    part: 'platforms',
    name: SYSTEMS,
    missing,
    run: async () => {
      lacks.push(...fetchTools([...targets, ...CHECKED].map(tripleOf)));
      if (lacks.length > 0) return notHad();
      for (const target of targets) SYSTEM[target]();
      return { passed: 1, failed: 0, skipped: 0 };
    },
  },
  step(BUILT, (log) => cross(log, 30, ...targets), { after: [SYSTEMS] }),
  ...(CHECKED.length > 0 ? [step('compiled for other platforms', (log) => cross(log, 15, '--check', ...CHECKED), { after: [SYSTEMS] })] : []),
  ...RUN.flatMap(({ steps }) => steps),
];
