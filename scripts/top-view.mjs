// Makes the picture of `wsbroker top` in docs/guide/monitoring.md anew: starts a server with clients that send, lets the
// handler of one of its two workers hang, and puts what the program then shows between the marks.
//
//   node scripts/top-view.mjs

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);
const page = path.join(root, 'docs/guide/monitoring.md');
const folder = mkdtempSync(path.join(tmpdir(), 'wsbroker-top-'));
const CLIENTS = 200;

const server = path.join(folder, 'server.cjs');
writeFileSync(
  server,
  `const { workerData, isMainThread, parentPort } = require('node:worker_threads');
const { send, sendToChannel, start } = require(${JSON.stringify(root)});
exports.handleOpen = () => ({ channels: ['all'] });
exports.handleTextMessage = (text, id) => {
  if (text === 'hang') for (;;);
  if (text === 'publish') sendToChannel('all', text);
  else send(id, text);
};
exports.handleClose = () => {};
if (workerData?.serve) void (async () => {
  const answers = { '/metrics': 'metrics' };
  const { url } = await start({ bind: '127.0.0.1:0', workerPath: __filename, threads: 2, path: '/', answers, onWorker() {} });
  parentPort.postMessage(url);
})();
`,
);
const main = new Worker(server, { workerData: { serve: true } });
const url = await new Promise((resolve, reject) => main.once('message', resolve).once('error', reject));
const WebSocket = require('ws');
const clients = await Promise.all(
  Array.from({ length: CLIENTS }, () => new Promise((resolve) => {
    const client = new WebSocket(url);
    client.on('open', () => resolve(client));
    client.on('error', () => {});
  })),
);
const timers = clients.map((client, i) => setInterval(() => client.send(i % 50 === 0 ? 'publish' : 'hello, hello'), 25 + (i % 7)));
const churn = setInterval(() => {
  const client = new WebSocket(url);
  client.on('open', () => client.close());
  client.on('error', () => {});
}, 200);
const refused = setInterval(() => new WebSocket(`${url}/other`).on('error', () => {}), 700);
setTimeout(() => clients[0].send('hang'), 1500);
await new Promise((resolve) => setTimeout(resolve, 3500));

// In a process of its own, while this one goes on sending.
const target = `${url.replace('ws:', 'http:')}/metrics`.replace('//metrics', '/metrics');
const program = spawn(process.execPath, [path.join(root, 'lib/cli/main.cjs'), 'top', target, '--once'], { stdio: ['ignore', 'pipe', 'inherit'] });
let shown = '';
program.stdout.setEncoding('utf8').on('data', (text) => (shown += text));
const code = await new Promise((resolve) => program.on('exit', resolve));
if (code !== 0) throw new Error(`top ended with ${code}`);
for (const timer of [...timers, churn, refused]) clearInterval(timer);

const view = shown.trimEnd().replaceAll(target, 'http://127.0.0.1:9090/metrics');
const text = readFileSync(page, 'utf8');
const [begin, end] = ['<!-- top -->', '<!-- /top -->'];
const [before, rest] = text.split(begin);
const after = rest.includes(end) ? rest.split(end)[1] : rest;
writeFileSync(page, `${before}${begin}\n\n\`\`\`text\n${view}\n\`\`\`\n\n${end}${after}`);
rmSync(folder, { recursive: true, force: true });
// The thread that hangs would keep the process.
process.exit(0);
