// Breaks the code on purpose, one place at a time, and lists the breaks that no test notices.
//
//   npm run mutants [-- [sample, default 150] [file ...]]
//
// The files are the protocol and the parts of the broker that decide what arrives where. Without
// arguments it takes a sample of their places, spread evenly and always the same. It builds and
// tests once for each break, in a copy of the tree. A sample takes an hour or two, so `npm test`
// does not include it.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const output = join(root, 'target', 'mutants');
const CORE = 'crates/wsbroker-core/src';
const BUS = 'crates/wsbroker-redis/src/bus';
const FILES = [
  'crates/wsbroker-proto/src/**',
  `${CORE}/dispatch.rs`,
  `${CORE}/shard/outbox.rs`,
  `${CORE}/shard/inbound.rs`,
  `${CORE}/realm/directory.rs`,
  `${BUS}/interest.rs`,
  `${BUS}/publish_queue.rs`,
];

const [size = '150', ...files] = process.argv.slice(2);
const sample = Number(size);
if (!Number.isInteger(sample) || sample < 1) fail(`the size of the sample is a whole number above 0, not ${size}`, 2);

const cargo = (...args) => spawnSync('cargo', ['mutants', ...args], { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 2 ** 26 });
if (cargo('--version').status !== 0) fail('cargo-mutants is missing: run cargo install cargo-mutants');

// What no test can check: the entry points of fuzz targets, and text for people.
const chosen = [...(files.length > 0 ? files : FILES).flatMap((file) => ['--file', file]), '--exclude', '**/fuzzing.rs', '--exclude-re', 'impl (fmt::)?(Debug|Display)'];
const listed = cargo('--list', '--json', ...chosen);
if (listed.status !== 0) fail('cargo mutants could not list them');
const all = JSON.parse(listed.stdout).length;
if (all === 0) fail('there is nothing to break in these files', 2);
const shards = Math.max(1, Math.round(all / sample));
console.log(`${all} places; every ${shards}. is broken`);

const nextest = spawnSync('cargo', ['nextest', '--version']).status === 0;
const { status } = spawnSync('cargo', [
  'mutants', ...chosen, '--output', output, '--shard', `0/${shards}`, '--sharding', 'round-robin',
  '--test-tool', nextest ? 'nextest' : 'cargo', '--baseline', 'run', '--minimum-test-timeout', '60', '--no-shuffle', '--colors', 'never',
], { cwd: root, stdio: 'inherit' });
const results = join(output, 'mutants.out', 'outcomes.json');
if (![0, 2, 3].includes(status) || !existsSync(results)) fail(`cargo mutants ended with ${status}; its log is in ${output}`);

const { caught, missed, timeout, unviable } = JSON.parse(readFileSync(results, 'utf8'));
for (const [name, text] of [['missed', 'survived'], ['timeout', 'killed by the time limit']]) {
  const lines = readFileSync(join(output, 'mutants.out', `${name}.txt`), 'utf8').trim();
  if (lines !== '') console.log(`\n${text}:\n${lines}`);
}
const killed = caught + timeout;
const judged = killed + missed;
console.log(`\nkilled ${killed} of ${judged} (${((100 * killed) / judged).toFixed(1)} %), ${timeout} of them by the time limit; survived ${missed}; ${unviable} did not compile`);
process.exitCode = missed === 0 ? 0 : 1;

function fail(text, code = 1) {
  console.error(text);
  process.exit(code);
}
