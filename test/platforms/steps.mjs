// The steps of `npm test -- platforms`: the addon is built for other platforms, and runs there.
//
// x86-64 with musl is a folder without glibc. ARM64 is emulated by qemu, which is slow, so it has only
// some of the tests. Half an hour on two cores.
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';

import { works } from '../../scripts/cross/commands.mjs';
import { fetchTools } from '../../scripts/cross/tools.mjs';
import { logOf, root, run, StepFailed } from '../runner/child.mjs';
import { nodeCounts } from '../runner/counts.mjs';
import { arm64, inside, muslRoot, stage } from './roots.mjs';

const asked = process.argv.includes('platforms');
const isRoot = process.getuid?.() === 0;

/** Why this cannot run here: for every step, and for those that change what the root folder is. */
function missing() {
  if (process.platform !== 'linux' || process.arch !== 'x64') return { why: 'only on Linux, x86-64', enable: 'run it there' };
  if (!asked) return { why: 'it takes half an hour', enable: `${isRoot ? '' : 'sudo '}npm test -- platforms` };
  if (!works('apt-get', '--version')) return { why: 'no apt-get, which other systems are made with', enable: 'run it on Debian' };
  if (!works('python3', '-m', 'pip', '--version')) return { why: 'no pip for zig and for Node with musl', enable: 'apt-get install python3-pip' };
  if (!works('cargo', '--version')) return { why: 'no cargo', enable: 'install Rust from https://rustup.rs' };
  return undefined;
}
const missingRoot = () => missing() ?? (isRoot ? undefined : { why: 'chroot and mounts need root', enable: 'sudo npm test -- platforms' });

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
  // What a platform leaves out is said where it is left out.
  if (end.code === 0 && counts.failed === 0 && counts.passed > 0) return { ...counts, skipped: 0 };
  throw new StepFailed(`${end.timedOut ? 'stopped by its time limit' : `${counts.failed} failed, status ${end.code ?? end.signal}`}, full output in ${path.relative(root, log)}`, { log, counts });
}

const addon = (name) => path.join(root, 'target/cross', name, `wsbroker.${name}.node`);
const e2e = existsSync(path.join(root, 'test/e2e')) ? readdirSync(path.join(root, 'test/e2e')).filter((name) => name.endsWith('.test.mjs')).sort() : [];
const files = e2e.map((name) => `test/e2e/${name}`);
const TEST = ['--test', '--test-reporter=spec'];

const onMusl = (name, runtime) =>
  step(
    name,
    (log) => {
      const lib = stage('linux-x64-musl', addon('linux-x64-musl'));
      return tests(log, inside(muslRoot(), ['node', ...TEST, ...files], { lib, env: { WSB_RUNTIME: runtime } }), { minutes: 15 });
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

const BUILT = 'addons for other platforms';

/** A step of CI only when it is asked for: what other systems are made of may be gone any day. */
export const platformSteps = process.env.CI === 'true' && !asked ? [] : [
  {
    part: 'platforms',
    name: 'systems of other platforms',
    missing,
    run: async () => {
      lacks.push(...fetchTools());
      if (lacks.length > 0) return notHad();
      muslRoot();
      for (const libc of ['gnu', 'musl']) arm64(libc);
      return { passed: 1, failed: 0, skipped: 0 };
    },
  },
  step(BUILT, (log) => cross(log, 30, 'linux-x64-musl', 'linux-arm64-gnu', 'linux-arm64-musl'), { after: ['systems of other platforms'] }),
  step('compiled for other platforms', (log) => cross(log, 15, '--check', 'win32-x64-msvc', 'darwin-arm64'), { after: ['systems of other platforms'] }),
  onMusl('e2e on Node with musl', '/usr/bin/node'),
  onMusl('e2e on Bun with musl', '/usr/bin/bun'),
  onArm64('ARM64 with glibc on Node', 'gnu', 'node'),
  onArm64('ARM64 with glibc on Bun', 'gnu', 'bun'),
  onArm64('ARM64 with musl on Node', 'musl', 'node'),
  onArm64('ARM64 with musl on Bun', 'musl', 'bun'),
];
