// `wsbroker top`: what it shows, and what it says when there is nothing to show.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import http from 'node:http';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { launch, packageFile, until, within } from './harness.mjs';
import { fill, open } from './raw.mjs';

const require = createRequire(import.meta.url);
const lib = new URL('.', `file://${packageFile}`);
const program = fileURLToPath(new URL('cli/main.cjs', lib));
const { parseExposition } = require(fileURLToPath(new URL('cli/top/exposition.cjs', lib)));
const { Interval } = require(fileURLToPath(new URL('cli/top/interval.cjs', lib)));

/** Runs it to its end. */
async function run(...args) {
  const child = spawn(process.execPath, [program, 'top', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => (output.out += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (output.err += text));
  const code = await within(new Promise((resolve) => child.on('close', resolve)), 'top to end', 30_000);
  return { code, ...output };
}

const echo = (wsb) => ({
  handleOpen: () => ({ channels: ['all'] }),
  handleTextMessage: (text, id) => wsb.send(id, text),
});
const OPTIONS = { path: '/ws', answers: { '/metrics': 'metrics' } };

test('it shows what a server does', async (t) => {
  const server = await launch(t, { worker: echo, options: OPTIONS });
  const client = await server.connect('/ws', { id: false });
  await server.refused('/other');
  const talk = setInterval(() => client.send('hello'), 10);
  t.after(() => clearInterval(talk));
  const { code, out, err } = await run(`127.0.0.1:${server.port}`, '--once', '--interval', '0.5');
  assert.deepEqual([code, err], [0, '']);
  assert.match(out, new RegExp(`^wsbroker \\S+   http://127\\.0\\.0\\.1:${server.port}/metrics   up \\d+ s   over \\d`));
  assert.match(out, /^open +1 +messages +[\d.]+\/s +[\d.]+\/s$/m);
  assert.match(out, /^channels +1 +subscriptions +1$/m);
  assert.match(out, /^rejected: notFound +0\/s +1$/m);
  assert.match(out, /^\d+ +1 +0 +\d+ +[\d.]+ K?i?B +[1-9][\d.]*\/s$/m, 'the worker has handled some');
  assert.match(out, /^0 +1 +0 B +\d+ +\d+ % +\d/m, 'the I/O thread');
  assert.match(out, /^readable to handler +\d+/m);
  assert.doesNotMatch(out, /\x1b|undefined|NaN/);
});

test('it shows the slow sockets while there are any', async (t) => {
  const server = await launch(t, { options: { ...OPTIONS, ioThreads: 1, maxBackpressure: 4 << 20 } });
  const raws = [];
  for (let i = 0; i < 12; i++) raws.push(await open(server, { target: '/ws' }));
  const ids = await Promise.all(raws.map(() => server.told.next('open').then(({ id }) => id)));
  const neighbour = await server.connect('/ws');
  const none = await run(`127.0.0.1:${server.port}`, '--once', '--interval', '0.1');
  assert.match(none.out, /^slow +0$/m);
  assert.doesNotMatch(none.out, /SLOW SOCKET/);
  for (const [i, raw] of raws.entries()) {
    raw.stopReading();
    await fill(server, neighbour, ids[i], (i + 1) << 18);
  }
  const { out } = await run(`127.0.0.1:${server.port}`, '--once', '--interval', '0.1');
  assert.match(out, /^slow +12$/m);
  const [, panel] = /^SLOW SOCKET +send queue +for +dropped\n((?:.+\n)+)$/m.exec(out) ?? assert.fail(out);
  const lines = panel.trimEnd().split('\n');
  assert.equal(lines.pop(), 'and 2 more');
  // Sizes differ by more than what a message adds.
  const worst = [...ids].reverse().slice(0, 10);
  assert.deepEqual(lines.map((line) => Number(/^(\d+) +[\d.]+ [KM]iB +\d+ (?:s|min) +0$/.exec(line)?.[1])), worst, panel);
});

test('it says what is wrong', async (t) => {
  const server = await launch(t, { worker: echo, options: { path: '/ws', answers: { '/other': { status: 200, body: 'hello' } } } });
  const missing = await run(server.url.replace('ws:', 'http:'));
  assert.equal(missing.code, 1);
  assert.match(missing.err, /^wsbroker top: http:\S+\/metrics answered 404; the server needs answers: \{ '\/metrics': 'metrics' \}\n$/);
  assert.match((await run(`127.0.0.1:${server.port}/other`)).err, /answered something else than the metrics of wsbroker/);
  await server.stop();
  const gone = await run(`127.0.0.1:${server.port}/metrics`);
  assert.deepEqual([gone.code, gone.err], [1, `wsbroker top: nothing listens on 127.0.0.1:${server.port}\n`]);
  for (const [args, message] of [
    [[], /URL is missing/],
    [['a', 'b'], /one URL is enough, got also b/],
    [['ws://localhost/'], /must begin with http:\/\/ or https:\/\/, got ws:\/\/localhost\//],
    [['http://'], /URL must be such as/],
    [['localhost', '--interval', '0'], /--interval must be from 0.1 to 3600 seconds, got 0/],
    [['localhost', '--intervall', '1'], /--intervall/],
  ]) {
    const { code, err } = await run(...args);
    assert.equal(code, 2, args.join(' '));
    assert.match(err, message);
    assert.match(err, /usage: wsbroker top URL/);
  }
});

test('a server that sends without an end is given up', async (t) => {
  const endless = http.createServer((request, response) => {
    const more = () => response.destroyed || (response.write('x'.repeat(1 << 20)) ? setImmediate(more) : response.once('drain', more));
    more();
  });
  await new Promise((resolve) => endless.listen(0, '127.0.0.1', resolve));
  t.after(() => endless.close());
  const { code, err } = await run(`127.0.0.1:${endless.address().port}`);
  assert.equal(code, 1);
  assert.match(err, /sends too much/);
});

const noTerminal = spawnSync('script', ['--version'], { timeout: 10_000 }).status === 0 ? false : 'no program `script`, which makes a terminal';

test('in a terminal it draws over itself until q, and leaves the terminal as it was', { skip: noTerminal }, async (t) => {
  const server = await launch(t, { worker: echo, options: OPTIONS });
  await server.connect('/ws', { id: false });
  const command = `stty rows 30 cols 90; '${process.execPath}' '${program}' top 127.0.0.1:${server.port} --interval 0.2; echo "ended with $?"`;
  const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'ignore'], env: { ...process.env, TERM: 'xterm' } });
  t.after(() => child.kill('SIGKILL'));
  let shown = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (shown += text));
  await until(() => shown.split('CONNECTIONS').length > 3, 'three views', 30_000, () => shown);
  await server.stop();
  await until(() => shown.includes('no new numbers: nothing listens on'), 'that the server is gone', 30_000, () => shown);
  child.stdin.write('q');
  await until(() => shown.includes('ended with 0'), 'the end', 30_000, () => shown.slice(-300));
  const [enter, leave] = ['\x1b[?1049h', '\x1b[?1049l\x1b[?25h'].map((sequence) => shown.split(sequence).length - 1);
  assert.deepEqual([enter, leave], [1, 1]);
});

test('rates and quantiles are those between two scrapes', () => {
  const at = (lines) => parseExposition(lines.join('\n'));
  const before = at(['# HELP n that', 'n{a="x"} 10', 'n{a="y\\"\\\\\\n"} 1', 'h_bucket{le="1"} 5', 'h_bucket{le="2"} 5', 'h_bucket{le="+Inf"} 5', 'odd']);
  const now = at(['n{a="x"} 30', 'n{a="y\\"\\\\\\n"} 1', 'h_bucket{le="1"} 5', 'h_bucket{le="2"} 9', 'h_bucket{le="+Inf"} 9', 'new 3']);
  const interval = new Interval(before, now, 2);
  assert.deepEqual(interval.values('n', 'a'), ['x', 'y"\\\n']);
  assert.deepEqual([interval.value('n'), interval.rate('n'), interval.rate('n', { a: 'x' }), interval.rate('none')], [31, 10, 10, undefined]);
  assert.equal(interval.quantile(0.5, 'h'), 1.5);
  assert.equal(interval.quantile(0.5, 'none'), undefined);
  assert.equal(interval.growth('new'), 3);
  // A counter that is smaller than before has begun anew.
  assert.equal(new Interval(now, before, 1).growth('n', { a: 'x' }), 10);
});
