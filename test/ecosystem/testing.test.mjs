// `wsbroker/testing`: what a test of an application does with it, on every runtime. The programs run as a test would.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { onBun, runtime, within } from '../e2e/harness.mjs';

const lib = (name) => pathToFileURL(fileURLToPath(new URL(`../../lib/${name}`, import.meta.url))).href;

/** Runs a module with `testServer` and the functions of wsbroker at hand. It must end by itself. */
async function program(t, source, files = {}) {
  const folder = mkdtempSync(path.join(tmpdir(), 'wsb-testing-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const head = `import assert from 'node:assert/strict';\nimport * as wsb from '${lib('index.mjs')}';\nimport { testServer } from '${lib('testing.mjs')}';\n`;
  for (const [name, text] of Object.entries({ ...files, 'main.mjs': `${head}${source}\nconsole.log('done');\n` })) writeFileSync(path.join(folder, name), text);
  const child = spawn(runtime, [path.join(folder, 'main.mjs')], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text));
  const [code] = await within(new Promise((resolve) => child.on('close', (...end) => resolve(end))), 'the program to end', undefined, () => `\n${said}`);
  assert.equal(code, 0, said);
  assert.match(said, /done\n$/);
}

test('handlers run on the calling thread, and messages are awaited', (t) => program(t, `
let heard = 0;
const server = await testServer({
  handleOpen: (id, ip, headers, { query }) => (query === 'name=ada' ? { token: 'ada', headers: { 'x-seen': headers.cookie ?? 'none' } } : { status: 401, headers: { 'x-why': 'name' }, body: 'who?' }),
  handleTextMessage(text, id, token) {
    heard++;
    wsb.send(id, JSON.stringify({ from: String(token), text }));
  },
  handleBinaryMessage: (bytes, id) => void wsb.send(id, bytes),
});
const ada = await server.connect('/?name=ada', { headers: { cookie: 'a=1' } });
${onBun ? '' : "assert.equal(ada.headers['x-seen'], 'a=1');"}
ada.send('one');
ada.send(Buffer.from([1, 2]));
ada.send('two');
assert.deepEqual(await ada.nextJson(), { from: 'ada', text: 'one' });
assert.deepEqual(await ada.next(), Buffer.from([1, 2]));
assert.equal(await ada.nextMatching((text) => /two/.test(text)), '{"from":"ada","text":"two"}');
assert.equal(heard, 2);
const refusal = await server.refusal('/?name=eve', { protocols: ['a', 'b'] });
assert.deepEqual([refusal.status, refusal.body, refusal.headers['x-why']], [401, 'who?', 'name']);
await assert.rejects(server.connect('/?name=eve'), { code: 'ERR_WSBROKER_TEST', message: ${onBun ? '/was not opened/' : '/401/'} });
await assert.rejects(server.refusal('/?name=ada'), { code: 'ERR_WSBROKER_TEST', message: /was accepted/ });
assert.equal(await server.close(), await server.close(), "once");
await assert.rejects(server.connect(), /the server is closed/);
`));

test('what does not come is named, within the timeout', (t) => program(t, `
const server = await testServer({
  handleTextMessage: (text, id) => (text === 'bye' ? wsb.close(id, 4000, 'told to') : wsb.send(id, text)),
}, { timeout: 300 });
const client = await server.connect();
await assert.rejects(client.next(), { code: 'ERR_WSBROKER_TEST', message: /no message came within 300 ms; the connection is open, and 0 messages wait/ });
await assert.rejects(client.closed(), /was not closed within 300 ms/);
client.send('not json');
await assert.rejects(client.nextJson(), /not JSON: not json/);
client.send('last');
client.send('bye');
assert.deepEqual(await client.closed(), { code: 4000, reason: 'told to' });
assert.equal(await client.next(), 'last', 'what came before the close can still be taken');
await assert.rejects(client.next(), /no message is left, the connection was closed with 4000 \\(told to\\)/);
const other = await server.connect();
assert.equal((await other.close(4001, 'x')).code, 4001);
await server.close();
`));

test('a module, then other handlers, in one process', (t) => program(t, `
const url = new URL('./worker.mjs', import.meta.url);
const first = await testServer(url);
const { seen } = await import(url.href);
const client = await first.connect();
client.send('hello');
assert.equal(await client.next(), 'worker: hello');
assert.deepEqual(seen, ['hello'], 'the same module, on the same thread');
await first.close();
const second = await testServer({ handleTextMessage: (text, id) => void wsb.send(id, 'second: ' + text) }, { path: '/ws' });
const other = await second.connect('/ws');
other.send('hello');
assert.equal(await other.next(), 'second: hello');
assert.equal((await second.refusal('/')).status, 404);
await assert.rejects(testServer({ handleOpen() {} }), { code: 'ERR_WSBROKER_CONFLICT' });
await second.close();
await assert.rejects(testServer({ handleOpen() {} }, { prot: 1 }), { code: 'ERR_WSBROKER_UNKNOWN_OPTION' });
await assert.rejects(testServer({ handleOpen() {} }, { bind: '192.0.2.1:0' }), { code: 'ERR_WSBROKER_BIND' });
await assert.rejects(testServer({ handleOpen() {} }, { workerPath: 'x' }), /is the first argument/);
await assert.rejects(testServer({ handleStart() { throw new Error('no database'); } }), /no database/);
await (await testServer({ handleOpen() {} })).close();
`, { 'worker.mjs': `import { send } from '${lib('index.mjs')}';\nexport const seen = [];\nexport function handleTextMessage(text, id) {\n  seen.push(text);\n  send(id, 'worker: ' + text);\n}\n` }));

test('two threads of a process do not get each other\'s connections: only one of them has a server', (t) => program(t, `
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
const other = new Worker(new URL('./thread.mjs', import.meta.url));
const ask = async (what) => {
  other.postMessage(what);
  return (await once(other, 'message'))[0];
};
const handlers = { handleTextMessage: (text, id) => void wsb.send(id, 'main: ' + text) };
const conflict = { code: 'ERR_WSBROKER_CONFLICT', message: /another thread of this process has handlers already/ };

assert.equal(await ask('start'), 'started');
await assert.rejects(testServer(handlers), conflict);
await assert.rejects(testServer(new URL('./worker.mjs', import.meta.url)), conflict);
assert.equal(await ask('hello'), 'thread: hello', 'it lives on');
assert.equal(await ask('close'), 'closed');

// At once: one of them, or none, and the one that has lost may try again.
for (const what of [handlers, new URL('./worker.mjs', import.meta.url)]) {
  const [theirs, mine] = await Promise.all([ask('start'), testServer(what).catch((error) => error.code)]);
  const started = [theirs === 'started', typeof mine === 'object'];
  assert.ok(started.filter(Boolean).length < 2, String(started));
  for (const one of [theirs, mine]) assert.ok(['started', 'object', 'ERR_WSBROKER_CONFLICT'].includes(typeof one === 'object' ? 'object' : one), String(one));
  if (started[0]) assert.equal(await ask('hello'), 'thread: hello');
  if (started[1]) await mine.close();
  assert.equal(await ask('close'), 'closed');
  const again = await testServer(what);
  const client = await again.connect();
  client.send('hello');
  assert.equal(await client.next(), 'main: hello');
  await again.close();
}
await other.terminate();
`, {
  'worker.mjs': `import { send } from '${lib('index.mjs')}';\nexport const handleTextMessage = (text, id) => void send(id, 'main: ' + text);\n`,
  'thread.mjs': `
import { parentPort } from 'node:worker_threads';
import { send } from '${lib('index.mjs')}';
import { testServer } from '${lib('testing.mjs')}';
let server;
const handlers = { handleTextMessage: (text, id) => void send(id, 'thread: ' + text) };
const calls = {
  async start() {
    server = await testServer(handlers);
    return 'started';
  },
  async hello() {
    const client = await server.connect();
    client.send('hello');
    return client.next();
  },
  async close() {
    await server?.close();
    server = undefined;
    return 'closed';
  },
};
parentPort.on('message', async (what) => parentPort.postMessage(await calls[what]().catch((error) => error.code)));
`,
}));
