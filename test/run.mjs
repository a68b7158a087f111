// `npm test`: builds and checks everything that can be checked on this machine.
// `npm test -- rust e2e` runs only these parts.
//
// Nothing is installed into the system. What cannot run here is listed as skipped at the end, with
// the command that would enable it; with CI=true a skip is a failure. The output of each step is
// kept in test/.out/, and shown when it fails. A failure that does not come again is flaky: it is
// counted and shown, but fails the run only if there are too many (FLAKY_FILES, default 2).
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { outDir, root } from './runner/child.mjs';
import { parts, steps } from './runner/steps.mjs';

const CI = process.env.CI === 'true';
const asked = process.argv.slice(2);
const unknown = asked.filter((part) => !parts.includes(part));
if (unknown.length > 0) {
  console.error(`unknown part: ${unknown.join(', ')}; expected one of ${parts.join(', ')}`);
  process.exit(2);
}
if (!existsSync(path.join(root, 'node_modules/typescript'))) {
  console.error('the developer tools are missing: run npm install');
  process.exit(2);
}
mkdirSync(outDir, { recursive: true });

const rows = [];
const done = new Map();

for (const step of steps) {
  if (asked.length > 0 && !asked.includes(step.part) && !needed(step)) continue;
  rows.push(await run(step));
}

/** A step that others depend on, such as the build, runs with every part that needs it. */
function needed(step) {
  return steps.some((other) => asked.includes(other.part) && other.after?.includes(step.name));
}

async function run(step) {
  const row = { name: step.name, passed: 0, failed: 0, flaky: 0, skipped: 0, seconds: 0, note: '' };
  const broken = (step.after ?? []).filter((name) => done.get(name) === 'failed');
  const missing = broken.length > 0 ? undefined : await step.missing?.();
  if (broken.length > 0) {
    Object.assign(row, { failed: 1, note: `not run: ${broken.join(', ')} failed` });
  } else if (missing) {
    Object.assign(row, { skipped: 1, note: `SKIPPED: ${missing.why}. To enable: ${missing.enable}`, missing: true });
  } else {
    process.stdout.write(`- ${step.name} ...\n`);
    const began = Date.now();
    try {
      const { log, ...outcome } = await step.run(step.name);
      Object.assign(row, outcome);
      if (row.flaky > 0) showEnd(log);
    } catch (error) {
      Object.assign(row, { failed: Math.max(1, error.counts?.failed ?? 0), passed: error.counts?.passed ?? 0, note: error.message });
      row.skipped = error.counts?.skipped ?? 0;
      if (error.log) showEnd(error.log);
    }
    row.seconds = (Date.now() - began) / 1000;
  }
  const state = row.failed > 0 ? 'failed' : row.missing ? 'skipped' : row.flaky > 0 ? 'flaky' : 'passed';
  done.set(step.name, state);
  process.stdout.write(`  ${state} ${step.name}: ${counts(row)} in ${row.seconds.toFixed(1)} s${row.note ? `\n    ${row.note}` : ''}\n`);
  return row;
}

function showEnd(log) {
  const lines = readFileSync(log, 'utf8').trimEnd().split('\n');
  const last = lines.slice(-150);
  if (last.length < lines.length) process.stdout.write(`    ... ${lines.length - last.length} lines before this in ${path.relative(root, log)}\n`);
  process.stdout.write(last.map((line) => `    ${line}\n`).join(''));
}

function counts({ passed, failed, flaky, skipped }) {
  return `${passed} passed, ${failed} failed, ${flaky > 0 ? `${flaky} flaky, ` : ''}${skipped} skipped`;
}

const total = { passed: 0, failed: 0, flaky: 0, skipped: 0, seconds: 0 };
for (const row of rows) for (const key of Object.keys(total)) total[key] += row[key];
if (rows.length === 0 || total.passed + total.failed === 0) total.failed++; // a run that ran nothing has not succeeded

const width = Math.max(...rows.map((row) => row.name.length), 5);
const line = ({ name, passed, failed, flaky, skipped, seconds }) =>
  `${name.padEnd(width)}${[passed, failed, flaky, skipped, seconds].map((cell) => `${cell}`.padStart(9)).join('')}\n`;
process.stdout.write('\n' + line({ name: 'step', passed: 'passed', failed: 'failed', flaky: 'flaky', skipped: 'skipped', seconds: 'seconds' }));
for (const row of [...rows, { name: 'total', ...total }]) process.stdout.write(line({ ...row, seconds: row.seconds.toFixed(1) }));
process.stdout.write('\n');
for (const row of rows) if (row.note) process.stdout.write(`${row.name}: ${row.note}\n`);
if (CI && total.skipped > 0) process.stdout.write('CI=true: what was skipped counts as failed\n');
process.stdout.write(`${counts(total)}\n`);
process.exitCode = total.failed > 0 || (CI && total.skipped > 0) ? 1 : 0;
