// What does a plain request cost? A page of 1 KiB from a Node server alone (http-node), the same
// page through wsbroker's port (http-forward), and a fixed answer (http-health), in turns:
//
//   node bench/http.mjs [--runs 5] [--seconds 3] [--connections 32] [--addon NAME=FILE ...]
//
// Prints processor microseconds of the server, all its threads, per request: the median and the
// range, and how much of it was in the kernel. Several builds of the addon can be compared with
// --addon. The build should be a release build; the generator is wrk, which must be installed.
import { fork, spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { describeMachine } from './lib/machine.mjs';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '32' },
    addon: { type: 'string', multiple: true, default: ['wsbroker='] },
  },
});
const runs = Number(values.runs);
if (spawnSync('wrk', ['--version']).error) throw new Error('wrk is missing: apt-get install wrk');

const server = fileURLToPath(new URL('servers/http.mjs', import.meta.url));
const PEERS = [{ name: 'node', kind: 'node', rows: { 'http-node': '/' } }].concat(
  values.addon.map((addon) => {
    const [name, file] = addon.split('=', 2);
    return { name, kind: 'wsbroker', file, rows: { 'http-forward': '/', 'http-health': '/healthz' } };
  }),
);

/** Requests that were answered with 200, in one run of the generator. */
function load(url) {
  const child = spawn('wrk', ['-t1', `-c${values.connections}`, `-d${values.seconds}s`, url], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (text) => (output += text));
  return new Promise((resolve, reject) =>
    child.once('close', () => {
      if (/Non-2xx|Socket errors/.test(output)) reject(new Error(`${url}:\n${output}`));
      else resolve(Number(/(\d+) requests in/.exec(output)[1]));
    }),
  );
}

const results = new Map();
for (let run = 0; run < runs; run++) {
  for (const peer of PEERS) {
    const env = { ...process.env, ...(peer.file && { WSBROKER_BINARY: peer.file }) };
    const child = fork(server, [peer.kind], { env });
    const told = () => new Promise((resolve) => child.once('message', resolve));
    const { port } = await told();
    const cpu = async () => {
      const answer = told();
      child.send('cpu');
      return (await answer).cpu;
    };
    for (const [row, path] of Object.entries(peer.rows)) {
      const url = `http://127.0.0.1:${port}${path}`;
      await load(url); // warms up
      const before = await cpu();
      const requests = await load(url);
      const after = await cpu();
      const [user, system] = ['user', 'system'].map((part) => (after[part] - before[part]) / requests);
      const key = `${row.padEnd(14)} ${peer.name.padEnd(10)}`;
      if (!results.has(key)) results.set(key, []);
      results.get(key).push({ total: user + system, system, perSecond: requests / Number(values.seconds) });
    }
    child.kill();
  }
}

const { cpu, system, loadAverage } = describeMachine();
console.log(`${cpu}, ${system}, Node ${process.version}, load ${loadAverage.toFixed(1)}; us of CPU per request\n`);
for (const [key, all] of results) {
  all.sort((one, other) => one.total - other.total);
  const median = all[all.length >> 1];
  const figures = `${median.total.toFixed(1)} (${all[0].total.toFixed(1)}-${all.at(-1).total.toFixed(1)})`;
  console.log(`${key} ${figures.padEnd(18)} of them in the kernel ${median.system.toFixed(1).padEnd(6)} ${Math.round(median.perSecond)}/s`);
}
