// Makes the picture of `wsbroker top` in docs/guide/top.md anew: starts a server with clients that send and some that
// do not read, lets the handler of one of its two workers hang, runs the program in a terminal of its own, and draws
// what that shows.
//
//   node scripts/top-view.mjs
//
// Needs the program `script`, which makes the terminal (util-linux), and what scripts/docs needs.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);
const WebSocket = require('ws');
const { Terminal } = createRequire(path.join(root, 'scripts/docs/package.json'))('@xterm/headless');
const picture = path.join(root, 'docs/guide/top.svg');
/** What the picture says instead of a port that differs each time. */
const SHOWN = 'http://127.0.0.1:9090/metrics';
const [COLUMNS, ROWS] = [80, 54];
const CLIENTS = 200;
/** Views after the first one, so that everything has happened by then. */
const VIEWS = 4;

const folder = mkdtempSync(path.join(tmpdir(), 'wsbroker-top-'));
const server = path.join(folder, 'server.cjs');
writeFileSync(
  server,
  `const { workerData, parentPort } = require('node:worker_threads');
const { send, sendToChannel, start } = require(${JSON.stringify(root)});
const page = 'x'.repeat(16_000);
exports.handleOpen = (id, ip, headers) => ({ channels: headers['x-feed'] ? ['all', 'feed'] : ['all'] });
exports.handleTextMessage = (text, id) => {
  if (text === 'hang') for (;;);
  if (text === 'publish') sendToChannel('all', text);
  else if (text === 'feed') sendToChannel('feed', page);
  else send(id, text);
};
exports.handleClose = () => {};
if (workerData?.serve) void (async () => {
  const options = { answers: { '/metrics': 'metrics' }, maxBackpressure: 4 << 20, overflow: 'dropOldest', pingInterval: 1000 };
  const { url } = await start({ bind: '127.0.0.1:0', workerPath: __filename, threads: 2, path: '/', onWorker() {}, ...options });
  parentPort.postMessage(url);
})();
`,
);
const main = new Worker(server, { workerData: { serve: true } });
const url = await new Promise((resolve, reject) => main.once('message', resolve).once('error', reject));

function connect(headers) {
  return new Promise((resolve) => {
    const client = new WebSocket(url, { headers });
    client.on('open', () => resolve(client));
    client.on('error', () => {});
  });
}

const clients = await Promise.all(Array.from({ length: CLIENTS }, () => connect({})));
for (let i = 0; i < 3; i++) {
  const slow = await connect({ 'x-feed': 'yes' });
  setTimeout(() => slow.pause(), 900 * i);
}
const timers = clients.map((client, i) => setInterval(() => client.send(i % 50 === 0 ? 'publish' : 'hello, hello'), 25 + (i % 7)));
timers.push(
  setInterval(() => clients[1].send('feed'), 8),
  setInterval(() => void connect({}).then((client) => client.close()), 200),
  setInterval(() => new WebSocket(`${url}/other`).on('error', () => {}), 700),
);

// In a process of its own, while this one goes on sending.
const target = new URL('/metrics', url.replace('ws:', 'http:')).href;
const command = `stty rows ${ROWS} cols ${COLUMNS}; '${process.execPath}' '${path.join(root, 'lib/cli/main.cjs')}' top ${target}`;
const program = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, TERM: 'xterm-256color', NO_COLOR: undefined } });
const terminal = new Terminal({ cols: COLUMNS, rows: ROWS, allowProposedApi: true });
const shown = new Promise((resolve, reject) => {
  let views = 0;
  program.on('exit', (code) => reject(new Error(`top ended with ${code}`)));
  program.stdout.on('data', (bytes) =>
    terminal.write(bytes, () => {
      // The last line of a view is written last.
      views += bytes.toString().split('q quits').length - 1;
      if (views === 2) clients[0].send('hang');
      const line = (_, y) => terminal.buffer.active.getLine(y)?.translateToString() ?? '';
      const hasDrops = Array.from({ length: ROWS }, line).some((text) => text.startsWith('dropped: '));
      if (views > VIEWS && hasDrops) resolve();
    }),
  );
});
await shown;
for (const timer of timers) clearInterval(timer);
writeFileSync(picture, draw(terminal.buffer.active));
console.log(`${path.relative(root, picture)} is new: look at it`);
program.stdin.write('q');
rmSync(folder, { recursive: true, force: true });
// The thread that hangs would keep the process.
process.exit(0);

/** The cells of each line as runs of one style: { x, text, bold, red }. */
function runs(line) {
  const found = [];
  const cell = terminal.buffer.active.getNullCell();
  for (let x = 0; x < COLUMNS; x++) {
    line.getCell(x, cell);
    const [text, bold, red] = [cell.getChars() || ' ', cell.isBold() !== 0, cell.isFgPalette() && cell.getFgColor() === 1];
    const last = found.at(-1);
    if (last && last.bold === bold && last.red === red) last.text += text;
    else found.push({ x, text, bold, red });
  }
  // Where the address is shorter than the one that it shows, the rest of the line moves.
  return found.map((run) => ({ ...run, text: run.text.replace(target, SHOWN).trimEnd() })).filter(({ text }) => text !== '');
}

/** The terminal as SVG. Each run has the width of its cells, whatever font there is. */
function draw(buffer) {
  const [width, height, margin] = [8.4, 18, 16];
  const lines = Array.from({ length: ROWS }, (_, y) => runs(buffer.getLine(buffer.baseY + y)));
  while (lines.at(-1).length === 0) lines.pop();
  const escape = (text) => text.replace(/[&<>]/g, (character) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[character]);
  const texts = lines.flatMap((line, y) =>
    line.map(({ x, text, bold, red }) => {
      // Spaces at the beginning would not count.
      const start = text.length - text.trimStart().length;
      const kind = red ? ' class="alarm"' : bold ? ' class="heading"' : '';
      const at = `x="${(margin + (x + start) * width).toFixed(1)}" y="${margin + y * height + 14}"`;
      return `<text${kind} ${at} textLength="${((text.length - start) * width).toFixed(1)}">${escape(text.slice(start))}</text>`;
    }),
  );
  const size = [COLUMNS * width + 2 * margin, lines.length * height + 2 * margin].map((number) => number.toFixed(0));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.join(' ')}" width="${size[0]}" height="${size[1]}" role="img">
<title>wsbroker top</title>
<!-- Made by scripts/top-view.mjs. -->
<style>
text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #d4d4d4; white-space: pre; }
.heading { font-weight: bold; fill: #ffffff; }
.alarm { font-weight: bold; fill: #ff6b68; }
</style>
<rect width="100%" height="100%" rx="8" fill="#1e1e1e"/>
${texts.join('\n')}
</svg>
`;
}
