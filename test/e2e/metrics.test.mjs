// `metrics()` and the answer `metrics`: what they say, against what happened, and what Prometheus makes of it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { failure, launch, until } from './harness.mjs';
import { families, get, missing, parse, scraping } from './prometheus.mjs';
import { fill, open } from './raw.mjs';

const require = createRequire(import.meta.url);
const OPTIONS = { path: '/ws', answers: { '/metrics': 'metrics' } };

const scrape = async (server) => parse((await get(server.port, '/metrics')).body);

/** How much each series has grown between two scrapes; those that have not are left out. */
function growth(before, after) {
  const grown = {};
  for (const [name, value] of after) {
    const more = value - (before.get(name) ?? 0);
    if (more !== 0) grown[name] = more;
  }
  return grown;
}

const pick = (series, names) => Object.fromEntries(names.map((name) => [name, series[name] ?? 0]));

/** Echoes text, takes a moment to open, and subscribes everybody. */
const echo = (wsb, kit) => ({
  async handleOpen(id, ip, headers) {
    kit.tell('open', { id, tag: headers['x-tag'] });
    await new Promise((resolve) => setTimeout(resolve, 20));
    return { channels: ['all', `only:${id}`] };
  },
  handleTextMessage: (text, id) => (text === 'publish' ? wsb.sendToChannel('all', 'published') : wsb.send(id, text)),
  handleBinaryMessage() {},
  handleClose() {},
});

test('each number moves by what it counts', async (t) => {
  const server = await launch(t, { worker: echo, options: OPTIONS });
  server.standard = true;
  const before = await scrape(server);
  const clients = [await server.connect('/ws'), await server.connect('/ws')];
  clients[0].send('hello');
  assert.equal(await clients[0].next(), 'hello');
  clients[0].send(Buffer.from('1234'));
  clients[1].send('publish');
  for (const client of clients) assert.equal(await client.next(), 'published');
  assert.equal((await server.refused('/other')).status, 404);
  assert.equal((await get(server.port, '/ws')).status, 426);
  let now = await scrape(server);
  const open = growth(before, now);
  assert.deepEqual(
    pick(open, [
      'wsbroker_connections', 'wsbroker_connections_accepted_total', 'wsbroker_connections_opened_total', 'wsbroker_connections_closed_total',
      'wsbroker_channels', 'wsbroker_subscriptions', 'wsbroker_messages_total{direction="in"}', 'wsbroker_messages_total{direction="out"}',
      'wsbroker_message_bytes_total{direction="in"}', 'wsbroker_message_bytes_total{direction="out"}', 'wsbroker_wire_bytes_total{direction="in"}',
      'wsbroker_rejects_total{cause="notFound"}', 'wsbroker_rejects_total{cause="upgradeRequired"}', 'wsbroker_http_requests_total{outcome="answered"}',
      'wsbroker_fanout_subscribers_count', 'wsbroker_fanout_subscribers_sum', 'wsbroker_handler_duration_seconds_count{handler="handleOpen"}',
    ]),
    {
      wsbroker_connections: 2,
      // The two, the two that were refused, and one for each scrape.
      wsbroker_connections_accepted_total: 5,
      wsbroker_connections_opened_total: 2,
      wsbroker_connections_closed_total: 0,
      wsbroker_channels: 3,
      wsbroker_subscriptions: 4,
      'wsbroker_messages_total{direction="in"}': 3,
      'wsbroker_messages_total{direction="out"}': 3,
      'wsbroker_message_bytes_total{direction="in"}': 5 + 4 + 7,
      'wsbroker_message_bytes_total{direction="out"}': 5 + 2 * 9,
      'wsbroker_wire_bytes_total{direction="in"}': 3 * 6 + 16,
      'wsbroker_rejects_total{cause="notFound"}': 1,
      'wsbroker_rejects_total{cause="upgradeRequired"}': 1,
      'wsbroker_http_requests_total{outcome="answered"}': 1,
      wsbroker_fanout_subscribers_count: 1,
      wsbroker_fanout_subscribers_sum: 2,
      'wsbroker_handler_duration_seconds_count{handler="handleOpen"}': 2,
    },
  );
  const slow = open['wsbroker_handler_duration_seconds_sum{handler="handleOpen"}'];
  assert.ok(slow >= 0.038 && slow < 20, `two promises of 20 ms took ${slow} s`);
  assert.equal(now.get('wsbroker_handler_duration_seconds_bucket{handler="handleOpen",le="0.01"}'), 0);

  await clients[0].close(1000);
  await server.main((wsb, kit, id) => wsb.terminate(id), clients[1].id);
  await clients[1].end();
  await until(async () => (now = await scrape(server)).get('wsbroker_connections') === 0, 'both to be counted');
  const closed = growth(before, now);
  assert.deepEqual(pick(closed, ['wsbroker_closes_total{cause="peer"}', 'wsbroker_closes_total{cause="terminated"}', 'wsbroker_connection_age_seconds_count', 'wsbroker_subscriptions']), {
    'wsbroker_closes_total{cause="peer"}': 1,
    'wsbroker_closes_total{cause="terminated"}': 1,
    wsbroker_connection_age_seconds_count: 2,
    wsbroker_subscriptions: 0,
  });
  // Two open events, three messages, two close events.
  await until(async () => growth(before, (now = await scrape(server)))['wsbroker_dispatch_delay_seconds_count'] === 7, 'every event to be counted once');
  assert.equal(now.get('wsbroker_handler_duration_seconds_count{handler="handleClose"}'), 2);
  const [handled] = [...now].filter(([name]) => name.startsWith('wsbroker_worker_handled_total{'));
  assert.equal(handled[1], 7);
  assert.ok(now.get('wsbroker_io_thread_turn_duration_seconds_count{thread="0"}') > 3);
  assert.ok(now.get('wsbroker_io_thread_turn_duration_seconds_sum{thread="0"}') < 60);
});

test('slow sockets are counted, and the worst have ranks until they have caught up', async (t) => {
  const server = await launch(t, { options: { ...OPTIONS, ioThreads: 1, maxBackpressure: 1 << 20, overflow: 'dropNewest' } });
  const raws = [];
  for (let i = 0; i < 3; i++) raws.push(await open(server, { target: '/ws' }));
  const ids = [];
  for (const raw of raws) {
    raw.stopReading();
    ids.push((await server.told.next('open')).id);
  }
  const neighbour = await server.connect('/ws');
  const rank = (series, what, number) => series.get(`wsbroker_slow_socket_${what}{rank="${number}"}`);
  const before = await scrape(server);
  assert.equal(before.get('wsbroker_slow_sockets'), 0);
  const began = Date.now();
  await fill(server, neighbour, ids[1], 1 << 18);
  await fill(server, neighbour, ids[2], 1 << 20);
  assert.deepEqual(await server.main((wsb, kit, id) => [wsb.send(id, 'a'), wsb.send(id, 'b')], ids[2]), [0, 0]);
  const now = await scrape(server);
  const seconds = (Date.now() - began) / 1000;
  assert.deepEqual([...now.keys()], [...before.keys()], 'every series was there');
  assert.equal(now.get('wsbroker_slow_sockets'), 2);
  assert.deepEqual([1, 2, 3, 10].map((number) => rank(now, 'id', number)), [ids[2], ids[1], 0, 0]);
  assert.equal(rank(now, 'id', 11), undefined);
  assert.ok(rank(now, 'send_queue_bytes', 1) >= 1 << 20 && rank(now, 'send_queue_bytes', 2) >= 1 << 18);
  assert.ok(rank(now, 'dropped_messages', 1) >= 2 && rank(now, 'dropped_messages', 2) === 0);
  for (const number of [1, 2]) {
    const waited = rank(now, 'duration_seconds', number);
    assert.ok(waited > 0 && waited <= seconds + 0.1, `${waited} of ${seconds} s`);
  }
  raws[2].reset();
  raws[1].socket.resume();
  let later;
  await until(async () => (later = await scrape(server)).get('wsbroker_slow_sockets') === 0, 'that none is slow');
  assert.deepEqual(['id', 'send_queue_bytes', 'duration_seconds', 'dropped_messages'].map((what) => rank(later, what, 1)), [0, 0, 0, 0]);
});

test('what channels with history keep, replay and refuse is counted', async (t) => {
  const server = await launch(t, { worker: echo, options: { ...OPTIONS, history: [{ channels: 'kept' }] } });
  server.standard = true;
  const before = await scrape(server);
  const client = await server.connect('/ws');
  await server.main(async (wsb, kit, id) => {
    await wsb.publish('kept', 'one', { id: 'a' });
    const { epoch } = await wsb.position('kept');
    await wsb.publish('kept', 'one', { id: 'a' });
    await wsb.publish('kept', 'two');
    await wsb.recover(id, 'kept', { offset: 5, epoch: 'other' }, { orReject: true });
    await wsb.recover(id, 'kept', { offset: 0, epoch });
  }, client.id);
  const grown = growth(before, await scrape(server));
  assert.ok(grown.wsbroker_history_bytes > 6, `${grown.wsbroker_history_bytes} bytes`);
  assert.deepEqual(
    pick(grown, [
      'wsbroker_history_channels', 'wsbroker_history_messages', 'wsbroker_history_duplicates_total', 'wsbroker_history_replayed_messages_total',
      'wsbroker_history_recoveries_total{outcome="recovered"}', 'wsbroker_history_recoveries_total{outcome="notRecovered"}',
      'wsbroker_history_losses_total', 'wsbroker_history_evictions_total', 'wsbroker_history_ids_dropped_total',
    ]),
    {
      wsbroker_history_channels: 1,
      wsbroker_history_messages: 2,
      wsbroker_history_duplicates_total: 1,
      wsbroker_history_replayed_messages_total: 2,
      'wsbroker_history_recoveries_total{outcome="recovered"}': 1,
      'wsbroker_history_recoveries_total{outcome="notRecovered"}': 1,
      wsbroker_history_losses_total: 0,
      wsbroker_history_evictions_total: 0,
      wsbroker_history_ids_dropped_total: 0,
    },
  );
});

test('one call in 64 of the handlers for messages is measured, until its promise has settled', async (t) => {
  const server = await launch(t, {
    options: OPTIONS,
    worker: (wsb, kit) => ({
      async handleTextMessage(text, id) {
        await null;
        if (text === 'last') wsb.send(id, 'all');
      },
      handleBinaryMessage(bytes, id) {
        if (bytes.length === 4) wsb.send(id, 'all');
      },
    }),
  });
  const client = await server.connect('/ws', { id: false });
  for (let i = 1; i < 2540; i++) client.send('x');
  client.send('last');
  assert.equal(await client.next(), 'all');
  for (let i = 1; i < 2540; i++) client.send(Buffer.from('x'));
  client.send(Buffer.from('last'));
  assert.equal(await client.next(), 'all');
  const now = await scrape(server);
  const measured = ['handleTextMessage', 'handleBinaryMessage'].map((name) => now.get(`wsbroker_handler_duration_seconds_count{handler="${name}"}`));
  // At most 127 calls lie between two that are measured, and 64 on average: 40 of 2540 are 5 standard deviations from either bound.
  for (const count of measured) assert.ok(count >= 18 && count <= 90, `measured ${measured}`);
});

test('nothing is added by clients, whatever they send', async (t) => {
  const server = await launch(t, { worker: echo, options: { ...OPTIONS, path: '*' } });
  server.standard = true;
  await (await server.connect('/ws')).close();
  const names = async () => [...(await scrape(server)).keys()].sort();
  const before = await names();
  const clients = [];
  for (let i = 0; i < 20; i++) {
    clients.push(await server.connect(`/path-${i}`, { headers: { 'user-agent': `agent-${i}`, origin: `http://origin-${i}.test` }, protocols: [] }));
    await get(server.port, `/page-${i}?x=${i}`, { headers: { host: `host-${i}.test` }, method: i % 2 === 0 ? 'GET' : 'DELETE' });
  }
  assert.deepEqual(await names(), before);
  const { body } = await get(server.port, '/metrics');
  assert.doesNotMatch(body, /path-|agent-|origin-|page-|host-|127\.0\.0\.1|only:/);
});

test('the format is what the request prefers, and HEAD is answered without a body', async (t) => {
  const server = await launch(t, { worker: echo, options: OPTIONS });
  const ask = async (accept, more) => {
    const { status, headers, body } = await get(server.port, '/metrics', { headers: { accept }, ...more });
    return { status, type: headers['content-type'], eof: body.endsWith('# EOF\n'), length: Number(headers['content-length']) - Buffer.byteLength(body) };
  };
  const classic = { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', eof: false, length: 0 };
  const open = { status: 200, type: 'application/openmetrics-text; version=1.0.0; charset=utf-8', eof: true, length: 0 };
  assert.deepEqual(await ask('*/*'), classic);
  assert.deepEqual(await ask('application/openmetrics-text; version=1.0.0, text/plain;q=0.5'), open);
  assert.deepEqual(await ask('application/openmetrics-text; version=1.0.0; q=0.1, text/plain'), classic);
  const head = await ask('*/*', { method: 'HEAD' });
  assert.ok(head.status === 200 && head.length > 10_000, JSON.stringify(head));
  assert.equal((await get(server.port, '/metrics', { method: 'POST' })).status, 405);
});

test('it is answered while every worker hangs, and says which', async (t) => {
  const server = await launch(t, {
    options: { ...OPTIONS, threads: 2 },
    worker: (wsb, kit) => ({
      handleTextMessage(text, id) {
        wsb.send(id, 'hangs');
        setImmediate(() => {
          for (;;);
        });
      },
    }),
  });
  const clients = [await server.connect('/ws', { id: false }), await server.connect('/ws', { id: false })];
  for (const client of clients) {
    client.send('hang');
    assert.equal(await client.next(), 'hangs');
    client.send('waits');
  }
  const stuck = async () => [...(await scrape(server))].filter(([name, value]) => name.startsWith('wsbroker_worker_stuck{') && value === 1).length;
  await until(async () => (await stuck()) === 2, 'both workers to be stuck');
  const queues = [...(await scrape(server))].filter(([name]) => name.startsWith('wsbroker_worker_queue{'));
  assert.deepEqual(queues.map(([, waiting]) => waiting), [1, 1]);
});

test('every series is there before start, and metrics() checks its option', async (t) => {
  const server = await launch(t, { worker: echo, start: false });
  const text = await server.main((wsb) => wsb.metrics());
  const series = parse(text);
  const { version } = JSON.parse(readFileSync(require.resolve('wsbroker/package.json'), 'utf8'));
  assert.equal(series.get(`wsbroker_build_info{version="${version}"}`), 1);
  for (const [name, value] of series) {
    if (name.startsWith('wsbroker_') && !name.startsWith('wsbroker_build_info')) assert.equal(value, 0, name);
  }
  if (process.platform === 'linux') {
    const { pid } = server.child;
    const limit = /^Max open files +(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))[1];
    assert.equal(series.get('process_max_fds'), Number(limit));
    assert.ok(series.get('process_open_fds') > 5);
    const resident = Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;
    const told = series.get('process_resident_memory_bytes');
    assert.ok(told > resident / 2 && told < resident * 2, `${told} and ${resident}`);
    assert.ok(Math.abs(series.get('process_start_time_seconds') - Date.now() / 1000) < 120);
  }
  const open = await server.main((wsb) => wsb.metrics({ format: 'openmetrics' }));
  assert.ok(open.endsWith('# EOF\n'));
  await failure(server.main((wsb) => wsb.metrics({ format: 'json' })), { code: 'ERR_WSBROKER_INVALID_ARG_VALUE', message: /"format" must be 'prometheus' or 'openmetrics'/ });
  await failure(server.main((wsb) => wsb.metrics({ formt: 'x' })), { code: 'ERR_WSBROKER_UNKNOWN_OPTION' });
  // What is there later is what was there before, and workers and threads.
  await server.start(OPTIONS);
  await server.connect('/ws', { id: false });
  const later = [...(await scrape(server)).keys()].filter((name) => !/^wsbroker_(worker|io_thread)_/.test(name));
  assert.deepEqual(later, [...series.keys()]);
});

test('promtool finds nothing to object to', { skip: missing }, async (t) => {
  const server = await launch(t, { worker: echo, options: OPTIONS });
  await server.connect('/ws', { id: false });
  const { body } = await get(server.port, '/metrics');
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: body, encoding: 'utf8', timeout: 60_000 });
  assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' });
});

test('a real Prometheus scrapes it', { skip: missing }, async (t) => {
  const server = await launch(t, { worker: echo, options: OPTIONS });
  server.standard = true;
  const clients = [await server.connect('/ws'), await server.connect('/ws'), await server.connect('/ws')];
  clients[0].send('publish');
  await clients[2].next();
  const prometheus = await scraping(t, server.port);
  const one = async (query) => (await prometheus.query(query))[0]?.value;
  await until(async () => (await one('up')) === 1, 'a scrape', 60_000, () => server.note());
  await until(async () => (await one('wsbroker_connections')) === 3, 'three connections', 30_000);
  assert.equal(await one('sum(wsbroker_connections_opened_total)'), 3);
  assert.equal(await one('wsbroker_fanout_subscribers_sum'), 3);
  const causes = await prometheus.query('wsbroker_closes_total');
  assert.ok(causes.length > 10 && causes.every(({ labels }) => typeof labels.cause === 'string'));
  const quantile = await one('histogram_quantile(0.5, sum by (le) (wsbroker_handler_duration_seconds_bucket{handler="handleOpen"}))');
  assert.ok(quantile > 0.01, `half of the calls took up to ${quantile} s`);
  const [{ health, lastError }] = await prometheus.targets();
  assert.deepEqual([health, lastError], ['up', '']);
  const names = new Set((await prometheus.query('{job="wsbroker"}')).map(({ labels }) => labels.__name__.replace(/_(bucket|sum|count)$/, '')));
  const { body } = await get(server.port, '/metrics');
  for (const family of families(body)) assert.ok(names.has(family), `${family} has arrived`);
});
