// The dashboard and the alerts ask for what there is, and say what they mean.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { launch, until } from './harness.mjs';
import { families, get, missing, scraping } from './prometheus.mjs';

const folder = fileURLToPath(new URL('../../dashboards/', import.meta.url));
const dashboard = JSON.parse(readFileSync(path.join(folder, 'grafana.json'), 'utf8'));
const alerts = readFileSync(path.join(folder, 'alerts.yml'), 'utf8');
const panels = dashboard.panels.filter(({ type }) => type !== 'row');
const queries = panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ title, expr })));

/** As Grafana sends it, with every variable at "All". */
const sent = (expr) => expr.replaceAll('$__rate_interval', '1m').replaceAll(/\$(job|instance)/g, '.*');

const promtool = (args, options) => {
  const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8', timeout: 60_000, cwd: folder, ...options });
  assert.equal(status, 0, stdout + stderr);
};

/** The metrics that an expression names, without what a histogram adds. */
const named = (text) => [...text.matchAll(/\b(?:wsbroker|process)_[a-z_]+/g)].map(([name]) => name.replace(/_(bucket|sum|count)$/, ''));

test('the dashboard has its rows, and no two panels in one place', () => {
  const rows = dashboard.panels.filter(({ type }) => type === 'row').map(({ title }) => title);
  assert.deepEqual(rows, ['Overview', 'Latency', 'Drops and closes', 'Workers', 'Bus', 'HTTP']);
  const cells = new Set();
  for (const { id, gridPos } of dashboard.panels) {
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        assert.ok(x < 24 && !cells.has(`${x},${y}`), `panel ${id} at ${x},${y}`);
        cells.add(`${x},${y}`);
      }
    }
  }
  assert.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length);
});

const noProcess = process.platform !== 'linux' && 'memory and descriptors of the process are told on Linux only';
test('dashboard and alerts name only metrics and labels that there are', { skip: noProcess }, async (t) => {
  const server = await launch(t, { worker: () => ({ handleTextMessage() {} }), options: { path: '/ws', answers: { '/metrics': 'metrics' } } });
  const { body } = await get(server.port, '/metrics');
  const known = new Set(families(body));
  const comments = alerts.split('\n').filter((line) => !line.startsWith('#'));
  for (const text of [...queries.map(({ expr }) => expr), ...comments]) {
    for (const name of named(text)) assert.ok(known.has(name), `${name} in ${text}`);
    for (const [, name, inner] of text.matchAll(/\b(wsbroker_[a-z_]+)\{([^}]*)\}/g)) {
      for (const [, label, , values] of inner.matchAll(/(\w+)(=~?)"([^"]*)"/g)) {
        if (['instance', 'job'].includes(label) || values.includes('$')) continue;
        for (const value of values.split('|')) {
          assert.match(body, new RegExp(`^${name}\\{[^}]*${label}="${value}"`, 'm'), `${name} with ${label}="${value}"`);
        }
      }
    }
  }
  assert.ok(queries.length > 30);
});

test('the guide to monitoring has every metric', async (t) => {
  const server = await launch(t, { worker: () => ({ handleTextMessage() {} }), options: { path: '/ws', answers: { '/metrics': 'metrics' } } });
  const page = readFileSync(path.join(folder, '../docs/guide/monitoring.md'), 'utf8');
  const all = families((await get(server.port, '/metrics')).body);
  assert.ok(all.length > 50);
  assert.deepEqual(all.filter((name) => !new RegExp(`\`${name}(\\{\\w+\\})?\``).test(page)), []);
});

test('promtool accepts the alerts, and each fires when it should', { skip: missing }, () => {
  promtool(['check', 'rules', 'alerts.yml']);
  promtool(['test', 'rules', 'alerts.test.yml']);
  const tested = new Set([...readFileSync(path.join(folder, 'alerts.test.yml'), 'utf8').matchAll(/alertname: (\w+)\n +exp_alerts/g)].map(([, name]) => name));
  for (const [, name] of alerts.matchAll(/- alert: (\w+)/g)) assert.ok(tested.has(name), `${name} is tested`);
});

test('a real Prometheus answers every query of the dashboard', { skip: missing }, async (t) => {
  const temporary = mkdtempSync(path.join(os.tmpdir(), 'wsbroker-dashboard-'));
  t.after(() => rmSync(temporary, { recursive: true, force: true }));
  const rules = queries.map(({ expr }, i) => `    - { record: 'q:${i}', expr: '${sent(expr).replaceAll("'", "''")}' }`);
  writeFileSync(path.join(temporary, 'queries.yml'), `groups:\n- name: all\n  rules:\n${rules.join('\n')}\n`);
  promtool(['check', 'rules', '--lint=none', 'queries.yml'], { cwd: temporary });

  const server = await launch(t, {
    worker: (wsb) => ({
      handleOpen: () => ({ channels: ['all'] }),
      handleTextMessage: (text, id) => wsb.sendToChannel('all', text),
      handleClose() {},
    }),
    options: { path: '/ws', answers: { '/metrics': 'metrics' } },
  });
  const prometheus = await scraping(t, server.port);
  const client = await server.connect('/ws', { id: false });
  // Something of each kind between two scrapes.
  const rises = async () => {
    client.send('x');
    await (await server.connect('/ws', { id: false })).close();
    await server.refused('/other');
    const rates = ['wsbroker_messages_total{direction="in"}', 'wsbroker_closes_total{cause="peer"}', 'wsbroker_rejects_total{cause="notFound"}'];
    const results = await Promise.all(rates.map((series) => prometheus.query(`rate(${series}[1m])`)));
    return results.every(([first]) => first?.value > 0);
  };
  await until(rises, 'two scrapes', 60_000, () => server.note());
  // Nothing is dropped here, and no ping is due.
  const quiet = /^(Drops|Ping)$/;
  for (const { title, expr } of queries) {
    const result = await prometheus.query(sent(expr));
    assert.ok(result.length > 0 || quiet.test(title), `${title}: no result of ${expr}`);
  }
});
