// Two instances on one Redis: wsbroker, Socket.IO with its sharded adapter, and a bridge as
// written by hand. See README.md in this folder.
//
//   node bench/cluster.mjs [load...] [--peers wsbroker,wsbroker-bun,bridge,socketio] [--runs 5]
//   [--seconds 3] [--quick] [--out FILE] [--no-build]

import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { buildGenerator, buildPackage } from './lib/build.mjs';
import { FIGURES, LOADS, measureInstances } from './lib/instances.mjs';
import { Placement, describeMachine } from './lib/machine.mjs';
import { BUS_PEERS, versions } from './lib/peers.mjs';
import { positive } from './lib/positive.mjs';
import { summarize, table, writeResults } from './lib/report.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const require = createRequire(import.meta.url);
const { values, positionals } = parseArgs({
  allowPositionals: true,
  allowNegative: true,
  options: {
    peers: { type: 'string', default: Object.keys(BUS_PEERS).join(',') },
    runs: { type: 'string' },
    seconds: { type: 'string' },
    quick: { type: 'boolean' },
    out: { type: 'string' },
    build: { type: 'boolean', default: true },
  },
});

const loads = positionals.length === 0 ? LOADS : positionals.map((name) => known(LOADS.find((load) => load.name === name), 'load', name, LOADS.map((load) => load.name)));
const peers = values.peers.split(',').map((name) => ({ name, ...known(BUS_PEERS[name], 'peer', name, Object.keys(BUS_PEERS)) }));
const runs = positive(values, 'runs', values.quick ? 1 : 5);
const seconds = positive(values, 'seconds', values.quick ? 1 : 3);
const placement = new Placement();
const machine = describeMachine();
const begun = new Date();

if (values.build) {
  buildPackage();
}
const generator = buildGenerator();

console.log(`${machine.cpu}, ${machine.cpus} CPUs, ${machine.system}, load ${machine.loadAverage.toFixed(2)}`);
console.log(`${placement.describe()}, or to two where it says so; ${runs} interleaved runs of ${seconds} s\n`);

/** @type {Record<string, Record<string, object[]>>} */
const raw = Object.fromEntries(loads.map(({ name }) => [name, Object.fromEntries(peers.map((peer) => [peer.name, []]))]));
for (let run = 0; run < runs; run += 1) {
  for (const load of loads) {
    for (let i = 0; i < peers.length; i += 1) {
      const peer = peers[(run + i) % peers.length];
      const result = await measureInstances(load, peer, { generator, placement, seconds, warmup: Math.max(1, seconds / 3) });
      raw[load.name][peer.name].push(result);
      const told = result.error ?? load.figures.map((figure) => `${figure} ${FIGURES[figure].of(result.raw).toFixed(FIGURES[figure].digits)}`).join('  ');
      console.log(`run ${run + 1}  ${load.name.padEnd(10)} ${peer.name.padEnd(13)} ${told}`);
    }
  }
}

const summaries = {};
const rows = [['', ...peers.map(({ title }) => title)]];
for (const { name, title, figures } of loads) {
  rows.push([title, ...peers.map(() => '')]);
  summaries[name] = {};
  for (const figure of figures) {
    const { of, digits, title: what } = FIGURES[figure];
    const summary = Object.fromEntries(peers.map((peer) => [peer.name, summarize(raw[name][peer.name].map((one) => (one.error ? {} : { figure: of(one.raw) })))]));
    summaries[name][figure] = summary;
    rows.push([`- ${what}`, ...peers.map((peer) => cell(summary[peer.name], digits))]);
  }
}
console.log(`\n${table(rows)}`);
const file = values.out ?? join(root, 'bench', 'results', `${begun.toISOString().replaceAll(':', '').slice(0, 15)}-cluster.json`);
writeResults(file, {
  begun: begun.toISOString(),
  command: ['node', 'bench/cluster.mjs', ...process.argv.slice(2)].join(' '),
  placement: placement.describe(),
  runs,
  seconds,
  machine,
  versions: {
    ...versions(),
    ioredis: require('ioredis/package.json').version,
    redis: require('redis/package.json').version,
    'socket.io': require('socket.io/package.json').version,
    '@socket.io/redis-adapter': require('@socket.io/redis-adapter/package.json').version,
    'redis-server': spawnSync('redis-server', ['--version'], { encoding: 'utf8' }).stdout.trim(),
  },
  summaries,
  raw,
});
console.log(`raw output: ${file}`);
process.exitCode = Object.values(raw).flatMap(Object.values).flat().some(({ error }) => error !== undefined) ? 1 : 0;

function cell(summary, digits) {
  if (summary === undefined) {
    return 'failed';
  }
  const show = (value) => value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return show(summary.median) + (summary.runs > 1 ? ` (${show(summary.least)}-${show(summary.most)})` : '');
}

function known(found, what, name, names) {
  if (found === undefined) {
    throw new Error(`unknown ${what} "${name}", expected one of ${names.join(', ')}`);
  }
  return found;
}
