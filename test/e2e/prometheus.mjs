// Reads the text format of Prometheus, and runs the programs of Prometheus.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';

import { until, within } from './harness.mjs';

const answers = (command) => spawnSync(command, ['--version'], { timeout: 30_000 }).status === 0;
export const missing = answers('promtool') && answers('prometheus') ? false : 'no prometheus: apt-get install prometheus';

/** Asks for a path of a port of the loopback: { status, headers, body }. */
export function get(port, where, { headers = {}, method = 'GET' } = {}) {
  const answer = new Promise((resolve, reject) => {
    const asked = http.request({ host: '127.0.0.1', port, path: where, headers, method, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text) => (body += text));
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }));
    });
    asked.on('error', reject);
    asked.end();
  });
  return within(answer, `${method} ${where}`, 30_000);
}

/** The value of each series, by its name with its labels as they are written. */
export function parse(text) {
  const series = new Map();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const end = line.lastIndexOf(' ');
    const name = line.slice(0, end);
    if (series.has(name)) throw new Error(`${name} is there twice`);
    series.set(name, Number(line.slice(end + 1)));
  }
  return series;
}

/** The families of an exposition: their names, as `# TYPE` has them. */
export const families = (text) => [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name);

/** A Prometheus that scrapes this port every second, until the test is over. */
export async function scraping(t, port) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'wsbroker-prometheus-'));
  const config = path.join(folder, 'prometheus.yml');
  writeFileSync(
    config,
    `global: { scrape_interval: 1s }\nscrape_configs:\n  - job_name: wsbroker\n    static_configs: [{ targets: ['127.0.0.1:${port}'] }]\n`,
  );
  const args = [`--config.file=${config}`, `--storage.tsdb.path=${folder}/data`, '--web.listen-address=127.0.0.1:0'];
  const child = spawn('prometheus', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'exit');
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (log += text));
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  });
  const listening = () => /Listening on.*address=127\.0\.0\.1:([1-9]\d*)/.exec(log)?.[1];
  await until(listening, 'Prometheus to listen', 60_000, () => log);
  const own = Number(listening());
  // It loads its storage first.
  await until(async () => (await get(own, '/-/ready')).status === 200, 'Prometheus to be ready', 60_000, () => log);
  return {
    /** The values of a query, each with its labels. */
    async query(query) {
      const { body } = await get(own, `/api/v1/query?query=${encodeURIComponent(query)}`);
      const { status, data, error } = JSON.parse(body);
      if (status !== 'success') throw new Error(`${query}: ${error}`);
      return data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
    },
    async targets() {
      return JSON.parse((await get(own, '/api/v1/targets')).body).data.activeTargets;
    },
  };
}
