// What beginners can get wrong, and others too: the error says what is wrong, what was expected, and what to do.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, realpathSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';

import { failure, launch, onBun, packageFile, runtime, until } from './harness.mjs';

/** What comes to stderr about a file, once its process has said something that comes later. */
async function warnings(server, name) {
  return (await server.said()).split('\n').filter((line) => line.includes('WSBrokerWarning') && line.includes(name));
}

for (const [what, file, text, message] of [
  ['a misspelled handler', 'typo.mjs', 'export const handelOpen = () => false;\nexport const handleTextMessage = () => {};\n', '"handelOpen" is not a handler; did you mean "handleOpen"?'],
  ['handlers as another library calls them', 'foreign.cjs', 'module.exports = { open() {} };\n', 'there are no handlers, only "open" (wsbroker calls it "handleOpen")'],
  ['a class instead of an instance', 'class.mjs', 'export default class Chat {\n  handleOpen() {}\n}\n', 'export an instance, as in "export default new Chat()"'],
  ['an instance with a misspelled method', 'instance.mjs', 'class Chat {\n  handelOpen() {}\n}\nexport default new Chat();\n', '"handelOpen" is not a handler'],
]) {
  test(`a worker module with ${what} is refused`, async (t) => {
    const server = await launch(t, { start: false });
    const workerPath = server.file(file, text);
    const error = await failure(server.start({ workerPath, threads: 2 }), { code: 'ERR_WSBROKER_WORKER_FAILED' });
    assert.equal(error.remoteCause.code, 'ERR_WSBROKER_UNKNOWN_HANDLER');
    assert.ok(error.message.includes(workerPath) && error.message.includes(message), error.message);
    await server.start();
    await server.connect();
  });
}

test('a worker module without any handler, and one with a name of another library, are warned of once', async (t) => {
  const server = await launch(t, { start: false });
  await server.start({ workerPath: server.file('nothing.mjs', 'export const value = 1;\n'), threads: 3 });
  assert.equal((await warnings(server, 'nothing.mjs has no handlers: every connection is accepted')).length, 1, server.stderr);
  await server.main((wsb) => wsb.shutdown());
  await server.start({ workerPath: server.file('beside.mjs', 'export const handleOpen = () => {};\nexport const message = () => {};\n'), threads: 3 });
  assert.equal((await warnings(server, 'beside.mjs: these are not handlers and are never called: "message"')).length, 1, server.stderr);
});

// Modules that do not load.

for (const [what, files, line] of [
  ['an ES module', { 'broken.mjs': 'export const y = 1;\nexport const x = ;\n' }, 'export const x = ;'],
  ['CommonJS', { 'broken.cjs': 'exports.y = 1;\nexports.x = {;\n' }, 'exports.x = {;'],
  ['a module that an ES module imports', { 'worker.mjs': "import './broken.mjs';\nprocess.exit(9);\n", 'broken.mjs': 'export const y = 1;\nexport const x = ;\n' }, 'export const x = ;'],
  ['a module that CommonJS requires', { 'worker.cjs': "require('./broken.cjs');\n", 'broken.cjs': 'exports.y = 1;\nexports.x = {;\n' }, 'exports.x = {;'],
]) {
  for (const threads of [0, 2]) {
    test(`a syntax error in ${what} is told with its file and line, threads: ${threads}`, async (t) => {
      const server = await launch(t, { start: false });
      const [workerPath] = Object.entries(files).map(([name, text]) => server.file(name, text));
      const error = await failure(server.start({ workerPath, threads }), { code: 'ERR_WSBROKER_WORKER_FAILED' });
      const broken = path.join(server.folder, Object.keys(files).at(-1));
      assert.ok(error.message.includes(`worker ${workerPath} failed to load`) && error.message.includes(`${broken}:2`) && error.message.includes(line), error.message);
      assert.equal(error.remoteCause.name, 'SyntaxError');
    });
  }
}

// Bun says the place.
if (!onBun) test('where a module with a syntax error is imported later, the error names the command that shows it', async (t) => {
  const server = await launch(t, { start: false });
  server.file('broken.mjs', 'export const x = ;\n');
  const workerPath = server.file('later.mjs', "await import('./broken.mjs');\n");
  const error = await failure(server.start({ workerPath }), { code: 'ERR_WSBROKER_WORKER_FAILED' });
  assert.ok(error.message.endsWith(`To see where, run: node ${JSON.stringify(workerPath)}`), error.message);
  const { stderr } = spawnSync(runtime, [workerPath], { encoding: 'utf8' });
  assert.ok(stderr.includes('broken.mjs:1') && stderr.includes('export const x = ;'), stderr);
});

test('a SyntaxError that the module itself throws is reported as it is', async (t) => {
  const server = await launch(t, { start: false });
  const error = await failure(server.start({ workerPath: server.file('parses.mjs', "JSON.parse('{');\n") }), { code: 'ERR_WSBROKER_WORKER_FAILED' });
  assert.ok(!error.message.includes('\n'), error.message);
  assert.match(error.remoteCause.stack, /parses\.mjs:1/);
});

const version = spawnSync(runtime, ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout.trim().split('.').map(Number);
const strips = onBun || version[0] > 23 || (version[0] === 22 && version[1] >= 18);

if (!strips) test('where the runtime takes no TypeScript, the error says which does and how', async (t) => {
  const server = await launch(t, { start: false });
  const workerPath = server.file('typed.ts', 'export const x: number = 1;\n');
  const error = await failure(server.start({ workerPath }), { code: 'ERR_WSBROKER_WORKER_FAILED' });
  assert.ok(error.message.includes(`Node ${version.join('.')} does not run TypeScript: Node 22.18 and later do, and so does Bun.`), error.message);
  assert.ok(error.message.includes("require('tsx/cjs'); module.exports = require('./typed.ts');"), error.message);
});

if (strips && !onBun) test('TypeScript that is more than types is reported with its location and how', async (t) => {
  const server = await launch(t, { start: false });
  const workerPath = server.file('enum.ts', 'enum Colour { Red }\nexport const x = Colour.Red;\n');
  const error = await failure(server.start({ workerPath }), { code: 'ERR_WSBROKER_WORKER_FAILED' });
  assert.ok(error.message.includes(`${workerPath}:1`) && error.message.includes("require('./enum.ts');"), error.message);
});

// Later ones find out by themselves.
if (version[0] === 18) test('of an ES module that is taken for CommonJS the error says how to make it one', async (t) => {
  const server = await launch(t, { start: false });
  const workerPath = server.file('esm.js', "import 'node:fs';\nexport const handleOpen = () => {};\n");
  const { message } = await failure(server.start({ workerPath }), { code: 'ERR_WSBROKER_WORKER_FAILED' });
  assert.ok(message.includes(`${workerPath}:1`) && message.endsWith('name it .mjs, or set "type": "module" in the nearest package.json.'), message);
});

// Files that are not there.

test('a worker file with another extension is named', async (t) => {
  const server = await launch(t, { start: false });
  const [there, other] = [server.file('chat.mjs', 'export const handleOpen = () => {};\n'), server.file('feed.ts', 'export const handleOpen = () => {};\n')];
  // Bun adds extensions, and takes .ts for .js.
  const onNode = [['./chat', there], ['./feed.js', other]];
  for (const [workerPath, meant] of [...(onBun ? [] : onNode), ['./chat.js', there], [path.join(server.folder, 'chat.cjs'), there]]) {
    const error = await failure(server.start({ workerPath }), { code: 'ERR_WSBROKER_WORKER_NOT_FOUND' });
    assert.ok(error.message.includes(`there is no file ${path.resolve(server.folder, workerPath)}; did you mean ${JSON.stringify(meant)}?`), error.message);
  }
});

test('a relative path says what it is relative to', async (t) => {
  const server = await launch(t, { start: false });
  const error = await failure(server.start({ workerPath: './nowhere.mjs' }), { code: 'ERR_WSBROKER_WORKER_NOT_FOUND' });
  const { folder } = server;
  assert.ok(error.message.endsWith(`there is no file ${path.join(folder, 'nowhere.mjs')}; a relative path starts from process.cwd(), which is ${folder}; `
    + "new URL('./nowhere.mjs', import.meta.url) starts from the module that contains it"), error.message);
  const absolute = await failure(server.start({ workerPath: path.join(folder, 'nowhere.mjs') }), { code: 'ERR_WSBROKER_WORKER_NOT_FOUND' });
  assert.ok(absolute.message.endsWith('nowhere.mjs'), absolute.message);
  // As if the program lay elsewhere, beside its worker module.
  server.file('beside.mjs', '');
  const beside = await failure(server.main((wsb, kit, program) => {
    [process.argv[1], globalThis.before] = [program, process.cwd()];
    process.chdir('/');
    return kit.start({ bind: '127.0.0.1:0', workerPath: './beside.mjs' });
  }, path.join(folder, 'program.mjs')), { code: 'ERR_WSBROKER_WORKER_NOT_FOUND' });
  assert.ok(beside.message.includes(`did you mean ${JSON.stringify(path.join(folder, 'beside.mjs'))}?`), beside.message);
});

// Addresses.

test('a port in use says how several processes share one', async (t) => {
  const other = net.createServer().listen(0, '127.0.0.1');
  t.after(() => other.close());
  await until(() => other.listening, 'a port in use');
  const server = await launch(t, { start: false });
  const error = await failure(server.start({ bind: `127.0.0.1:${other.address().port}` }), { code: 'ERR_WSBROKER_BIND' });
  assert.match(error.message, /; another program is already listening there: end it, or choose another port; to share the port between processes .* set "reusePort" in all of them$/);
});

test('what stands against an earlier start says how to start over, and that does it', async (t) => {
  const server = await launch(t, { options: { ioThreads: 1 } });
  const bind = `127.0.0.1:${server.port}`;
  const other = server.workerFile(() => ({ handleOpen() {} }));
  for (const options of [{ bind }, { ioThreads: 2 }, { workerPath: other }, { bind, path: '/other', handshakeTimeout: 5 }]) {
    const error = await failure(server.start(options), { code: 'ERR_WSBROKER_CONFLICT' });
    assert.ok(error.message.endsWith('; to start over, for instance under "bun --hot", call "await shutdown()" first'), error.message);
  }
  await server.main((wsb) => wsb.shutdown());
  await server.start({ bind, ioThreads: 2, workerPath: other });
});

// Two copies of the package.

/** A second copy in the server's folder, with an addon of its own: what `require('wsbroker')` is for modules there. */
function copyOf(server) {
  const package_ = path.dirname(path.dirname(packageFile));
  const folder = path.join(server.folder, 'node_modules', 'wsbroker');
  mkdirSync(folder, { recursive: true });
  for (const name of ['lib', 'package.json']) cpSync(path.join(package_, name), path.join(folder, name), { recursive: true });
  // Of an installed package the addon lies beside it.
  for (const name of readdirSync(path.dirname(package_)).filter((one) => one.startsWith('wsbroker-') && existsSync(path.join(path.dirname(package_), one, 'package.json')))) {
    cpSync(path.join(path.dirname(package_), name), path.join(path.dirname(folder), name), { recursive: true });
  }
  return folder;
}

test('two copies of the package are warned of once, with both paths', async (t) => {
  const server = await launch(t);
  const [first, second] = [path.dirname(path.dirname(packageFile)), realpathSync(copyOf(server))];
  const load = (wsb, kit, folder) => void require(folder);
  await server.main(load, second);
  await server.main(load, path.join(second, 'lib', 'emitter.cjs'));
  const said = await warnings(server, 'two copies of wsbroker are loaded');
  assert.equal(said.length, 1, server.stderr);
  assert.ok(said[0].includes([first, second].sort().join(' and ')), said[0]);
});

for (const extension of ['mjs', 'cjs']) {
  test(`a worker module that imports another copy than its pool's is refused (${extension})`, async (t) => {
    const server = await launch(t, { start: false });
    const copy = realpathSync(copyOf(server));
    const text = extension === 'mjs' ? "import { send } from 'wsbroker';\nexport const handleTextMessage = (text, id) => send(id, text);\n" : "exports.handleTextMessage = (text, id) => require('wsbroker').send(id, text);\nrequire('wsbroker');\n";
    const error = await failure(server.start({ workerPath: server.file(`worker.${extension}`, text), threads: 2 }), { code: 'ERR_WSBROKER_WORKER_FAILED' });
    assert.equal(error.remoteCause.code, 'ERR_WSBROKER_CONFLICT');
    assert.ok(error.message.includes(copy) && error.message.includes(path.dirname(path.dirname(packageFile))), error.message);
  });
}

test("a Worker of the application's own that imports another copy is warned of", async (t) => {
  const server = await launch(t);
  const copy = realpathSync(copyOf(server));
  await server.main(async (wsb, kit, folder) => {
    const { Worker } = require('node:worker_threads');
    const worker = new Worker(`require(${JSON.stringify(folder)})`, { eval: true });
    await new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject));
  }, copy);
  await until(() => server.stderr.includes(`${copy}: sockets and channels`) || server.stderr.includes(`${copy} and `), 'a warning');
});

test('shutdown of a copy that has started nothing ends what the other has started', async (t) => {
  const server = await launch(t);
  const client = await server.connect();
  const report = await server.main((wsb, kit, folder) => require(folder).shutdown({ code: 4001 }), copyOf(server));
  assert.deepEqual(report, { closed: 1, terminated: 0 });
  assert.equal((await client.end()).code, 4001);
  await server.main((wsb, kit) => kit.hold(false));
  assert.deepEqual(await server.exit(), { code: 0, signal: null });
});

test('shutdown ends the servers of all copies', async (t) => {
  const server = await launch(t);
  const here = await server.connect();
  const at = await server.main(async (wsb, kit, folder) => {
    const other = require(folder);
    other.registerWorkerThread({ handleOpen() {} });
    const { url } = await other.start({ bind: '127.0.0.1:0' });
    return { url };
  }, copyOf(server));
  const there = await server.connect('', { at, id: false });
  assert.deepEqual(await server.main((wsb) => wsb.shutdown()), { closed: 2, terminated: 0 });
  for (const client of [here, there]) assert.equal((await client.end()).code, 1001);
  await server.main((wsb, kit) => kit.hold(false));
  assert.deepEqual(await server.exit(), { code: 0, signal: null });
});
