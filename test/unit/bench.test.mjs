// What the benchmark says of its runs.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { summarize, tables, told } from '../../bench/lib/report.mjs';
import { MEASURES, SCENARIOS } from '../../bench/lib/scenarios.mjs';

const peers = [{ name: 'wsbroker', title: 'wsbroker, Node' }, { name: 'bun', title: 'Bun.serve' }];

test('a latency has a row for each percentile, with its own median, range and ratio', () => {
  const { parts } = MEASURES.latency;
  const runs = { wsbroker: [[90, 400], [100, 300], [80, 500]], bun: [[100, 800], [100, 800], [200, 900]] };
  const summaries = Object.fromEntries(
    Object.entries(runs).map(([peer, figures]) => [peer, summarize(figures.map(([p50, p99]) => ({ figure: { p50, p99 } })), parts)]),
  );
  const scenario = SCENARIOS.find(({ name }) => name === 'latency');
  const lines = tables([scenario], peers, { latency: summaries }).split('\n').map((line) => line.replaceAll(/ +/g, ' '));
  assert.equal(lines[2], '| echo 64 B at half load, p50 | 90 (80-100), 0.80 and 0.90 | 100 (100-200) |');
  assert.equal(lines[3], '| echo 64 B at half load, p99 | 400 (300-500), 0.38 and 0.50 | 800 (800-900) |');
  assert.equal(told({ p50: 90.4, p99: 400.2 }, MEASURES.latency), 'p50 90, p99 400');
});

test('a run that failed has no part in a summary, and a peer without any run has failed', () => {
  const { parts } = MEASURES.latency;
  const some = summarize([{ error: 'cut' }, { figure: { p50: 7, p99: 9 } }], parts);
  assert.deepEqual([some.p50.runs, some.p50.median, some.p99.median], [1, 7, 9]);
  const scenario = SCENARIOS.find(({ name }) => name === 'latency');
  const text = tables([scenario], peers, { latency: { wsbroker: some, bun: summarize([{ error: 'cut' }], parts) } });
  assert.match(text, /p50 +\| +7 +\| +failed \|/);
  assert.equal(summarize([{ figure: 2 }, { figure: 4 }]).median, 3);
});

// Not how long it takes, which the machine decides, but that it is a loop of its own, which no
// compiler can make a part of its caller.
test('the work of a handler is a loop in WebAssembly that depends on its length and its start', () => {
  const file = new URL('../../bench/servers/work.mjs', import.meta.url).href;
  const program = `import { loop } from ${JSON.stringify(file)}; console.log(JSON.stringify([loop(1, 1), loop(1, 3), loop(5, 3)]));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], { cwd: fileURLToPath(new URL('.', import.meta.url)), encoding: 'utf8' });
  const model = (x, rounds) => {
    for (let i = 0; i < rounds; i += 1) {
      x ^= x << 13;
      x ^= x >>> 17;
      x ^= x << 5;
    }
    return x;
  };
  assert.deepEqual(JSON.parse(stdout || `"${stderr}"`), [model(1, 1), model(1, 3), model(5, 3)]);
});
