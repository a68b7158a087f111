// Compares wsbroker with its peers on this machine, all in one run. See README.md in this folder.
//
//   node bench/run.mjs [scenario...] [--peers wsbroker,wsbroker-newest,wsbroker-bun,bun,ws] [--runs 5] [--seconds
//   3] [--quick]
//                      [--cpu N] [--out FILE] [--no-build]

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { buildGenerator, buildPackage } from './lib/build.mjs';
import { makeCertificate } from './lib/certificate.mjs';
import { Placement, describeMachine } from './lib/machine.mjs';
import { halfLoad, measure } from './lib/measure.mjs';
import { PEERS, choosePeers, versions } from './lib/peers.mjs';
import { positive } from './lib/positive.mjs';
import { summarize, tables, told, writeResults } from './lib/report.mjs';
import { MEASURES, chooseScenarios } from './lib/scenarios.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  allowNegative: true,
  options: {
    peers: { type: 'string' },
    runs: { type: 'string' },
    seconds: { type: 'string' },
    quick: { type: 'boolean' },
    cpu: { type: 'string' },
    out: { type: 'string' },
    build: { type: 'boolean', default: true },
  },
});

const scenarios = chooseScenarios(positionals);
const peers = choosePeers(values.peers?.split(',') ?? []);
const runs = positive(values, 'runs', values.quick ? 1 : 5);
const seconds = positive(values, 'seconds', values.quick ? 1 : 3);
const placement = new Placement(values.cpu === undefined ? undefined : Number(values.cpu));
const certificate = scenarios.some(({ tls }) => tls) ? makeCertificate() : undefined;
const begun = new Date();
const machine = describeMachine();

if (values.build && peers.some(({ name }) => name.startsWith('wsbroker'))) {
  buildPackage();
}
const generator = buildGenerator();

console.log(`${machine.cpu}, ${machine.cpus} CPUs, ${machine.system}, load ${machine.loadAverage.toFixed(2)}`);
console.log(`${placement.describe()}; ${runs} interleaved runs of ${seconds} s\n`);

/** @type {Record<string, Record<string, object[]>>} */
const raw = Object.fromEntries(scenarios.map(({ name }) => [name, Object.fromEntries(peers.map((peer) => [peer.name, []]))]));
for (let run = 0; run < runs; run += 1) {
  for (const scenario of scenarios) {
    const how = { generator, placement, certificate, seconds, warmup: Math.max(1, seconds / 3), quick: values.quick };
    // The same for all, and found anew each time: the machine may be slower now.
    const half = scenario.measure === 'latency' ? await halfLoad(scenario, { name: 'bun', ...PEERS.bun }, how) : {};
    // Another one begins each time, so that none always follows the same.
    for (let i = 0; i < peers.length; i += 1) {
      const peer = peers[(run + i) % peers.length];
      const result = half.error === undefined ? await measure(scenario, peer, { ...how, rate: half.rate }) : half;
      raw[scenario.name][peer.name].push(result);
      const figure = result.error ?? told(result.figure, MEASURES[scenario.measure]);
      console.log(`run ${run + 1}  ${scenario.name.padEnd(14)} ${peer.name.padEnd(13)} ${figure}`);
    }
  }
}

const summaries = Object.fromEntries(
  scenarios.map(({ name, measure }) => {
    const { parts } = MEASURES[measure];
    return [name, Object.fromEntries(peers.map((peer) => [peer.name, summarize(raw[name][peer.name], parts)]))];
  }),
);
const text = tables(scenarios, peers, summaries);
console.log(`\n${text}`);
if (peers.length > 1 && peers.some(({ name }) => name === 'bun')) {
  console.log('behind each range: the least divided by the least of Bun.serve, and the median by its median');
}
const all = Object.values(raw).flatMap(Object.values).flat();
if (all.some(({ busy }) => busy < 0.9)) {
  console.log('* other processes had more than a tenth of the CPU in at least one run');
}
const file = values.out ?? join(root, 'bench', 'results', `${begun.toISOString().replaceAll(':', '').slice(0, 15)}.json`);
writeResults(file, {
  begun: begun.toISOString(),
  command: ['node', 'bench/run.mjs', ...process.argv.slice(2)].join(' '),
  placement: placement.describe(),
  runs,
  seconds,
  machine,
  versions: versions(),
  summaries,
  raw,
});
console.log(`raw output: ${file}`);
process.exitCode = all.some(({ error }) => error !== undefined) ? 1 : 0;
