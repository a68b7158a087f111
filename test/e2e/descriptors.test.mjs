// Too few file descriptors: those that connect wait and are taken later, an operator is told without asking for it, and it is counted.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { createInterface } from 'node:readline';

import { onWindows, packageFile, runtime, until, within } from './harness.mjs';
import { request } from './raw.mjs';

/** More than there are descriptors for. */
const CLIENTS = 300;
const PROGRAM = `
  const wsb = require(process.argv[1]);
  wsb.registerWorkerThread({ handleTextMessage() {} });
  wsb.start({ bind: '127.0.0.1:0' }).then((server) => {
    console.log(server.port);
    process.stdin.on('data', () => {
      console.log(JSON.stringify([wsb.connectionCount(), wsb.stats().acceptFailures]));
    }).on('end', () => wsb.shutdown().then(() => process.exit()));
  });`;

test('a client that connects while there are no descriptors waits, and the operator is told once', { skip: onWindows && 'no ulimit' }, async (t) => {
  const env = { ...process.env, NODE_NO_WARNINGS: '1' };
  delete env.RUST_LOG;
  const server = spawn('sh', ['-c', 'ulimit -n 160 && exec "$0" "$@"', runtime, '-e', PROGRAM, packageFile], { env, stdio: 'pipe' });
  t.after(() => server.kill('SIGKILL'));
  let said = '';
  server.stderr.setEncoding('utf8').on('data', (text) => (said += text));
  const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
  const line = async (what) => (await within(lines.next(), what, undefined, () => said)).value;
  const ask = async () => (server.stdin.write('?'), JSON.parse(await line('an answer')));
  const port = Number(await line('the port'));

  const clients = Array.from({ length: CLIENTS }, () => net.connect(port, '127.0.0.1', function () { this.write(request()); }).on('error', () => {}));
  t.after(() => clients.forEach((client) => client.destroy()));
  await until(async () => (await ask())[1] > 0, 'a failure is counted');
  await until(() => said.includes('\n'), 'it is reported');
  const [open] = await ask();
  assert.ok(open < CLIENTS, `${open} are in`);
  // As others leave, all of them get in.
  for (const client of clients) {
    const [answer] = await within(once(client, 'data'), 'an answer');
    assert.match(String(answer), /^HTTP\/1\.1 101 /);
    client.destroy();
  }
  assert.match(said, /^[^\n]*WARN[^\n]*cannot accept connections, and will go on trying: (?:Too many open files|No file descriptors available)[^\n]*raise the limit of open files \(ulimit -n\)[^\n]*\n$/);
  server.stdin.end();
  await within(once(server, 'exit'), 'the end');
});
