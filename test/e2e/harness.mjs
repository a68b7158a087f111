// What every end-to-end test stands on. The test itself always runs on Node; the server runs in a process of its own under
// the runtime named by WSB_RUNTIME (a path to node or bun; by default this Node), so one suite serves all runtimes and a
// crash of the addon is a failed test and not a lost one.
//
// Functions given to `launch`, `server.main` and `client.run` travel as source text: they see their arguments and globals,
// never what surrounds them in the test.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import WebSocket from 'ws';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, '../..');
const require = createRequire(path.join(root, 'package.json'));

/** Absolute, if it is a path: servers are started in folders of their own. */
export const runtime = process.env.WSB_RUNTIME?.includes('/') ? path.resolve(process.env.WSB_RUNTIME) : process.env.WSB_RUNTIME || process.execPath;
export const onBun = path.basename(runtime).startsWith('bun');
export const onWindows = process.platform === 'win32';
/** How long anything may take that is expected to happen. Generous: a busy machine must not fail a test. */
export const DEADLINE = Number(process.env.WSB_DEADLINE || 15_000);
/** Where all takes longer, such as in an emulator, a verdict may, too: that a client gets 503 then is no test's subject. */
const PATIENCE = process.env.WSB_DEADLINE ? { openTimeout: DEADLINE } : {};
/** The file that `require('wsbroker')` loads; WSB_PACKAGE names another, such as that of an installed package. */
export const packageFile = process.env.WSB_PACKAGE || require.resolve('wsbroker');
/** The same package as an ES module, as `import` takes it: on Windows a path is no specifier. */
export const packageUrl = pathToFileURL(packageFile.replace(/\.cjs$/, '.mjs')).href;
export const kitFile = path.join(here, 'fixtures/kit.cjs');

/** Waits until `probe` returns (or resolves to) something truthy, and returns that. */
export async function until(probe, what, ms = DEADLINE, describe = () => '') {
  const deadline = Date.now() + ms;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${what}${describe()}`);
    await pause(5);
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Settles as `promise`, or rejects after `ms` naming what did not happen. */
export function within(promise, what, ms = DEADLINE, describe = () => '') {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}${describe()}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** An error that was thrown in the server process, as far as it can travel. */
export class RemoteError extends Error {
  constructor(details) {
    super(details.message ?? details.thrown);
    this.remoteName = details.name;
    this.code = details.code;
    this.isTypeError = details.isTypeError;
    this.isRangeError = details.isRangeError;
    this.remoteCause = details.cause;
    this.remoteStack = details.stack;
  }
}

/** Values told by the server process: kept all, and handed out one by one in order. */
class Told {
  constructor(note) {
    this.note = note;
    this.all = [];
    this.waiting = new Set();
  }

  add(event) {
    this.all.push(event);
    for (const check of [...this.waiting]) check();
  }

  /** All events of a type so far. */
  of(type, match = () => true) {
    return this.all.filter((event) => event.type === type && match(event));
  }

  /** Takes all events of a type so far, so that `next` waits for a new one. */
  skip(type) {
    for (const event of this.of(type)) Object.defineProperty(event, 'taken', { value: true, configurable: true });
  }

  /** The first event of a type that no earlier `next` has taken. */
  next(type, match = () => true, ms = DEADLINE) {
    return within(
      new Promise((resolve) => {
        const check = () => {
          const found = this.all.find((event) => event.type === type && !event.taken && match(event));
          if (!found) return;
          Object.defineProperty(found, 'taken', { value: true, configurable: true });
          this.waiting.delete(check);
          resolve(found);
        };
        this.waiting.add(check);
        check();
      }),
      `an event "${type}"`,
      ms,
      this.note,
    );
  }
}

let tags = 0;

/** A WebSocket client: collects what comes, and waits for it with a deadline. */
export class Client {
  constructor(server, ws, tag) {
    this.server = server;
    this.ws = ws;
    this.tag = tag;
    this.messages = [];
    this.taken = 0;
    this.pongs = [];
    this.ended = undefined;
    this.closed = new Promise((resolve) => {
      ws.on('close', (code, reason) => resolve((this.ended = { code, reason: reason.toString() })));
    });
    ws.on('message', (data, isBinary) => this.messages.push(isBinary ? data : data.toString()));
    ws.on('pong', (data) => this.pongs.push(data.toString()));
    ws.on('error', (error) => (this.error = error));
  }

  send(data) {
    this.ws.send(data);
  }

  /** The next message that was not taken yet: a string for text, a Buffer for binary. */
  async next(ms = DEADLINE) {
    const note = () => (this.ended ? `; closed with ${JSON.stringify(this.ended)}` : '') + this.server.note();
    await until(() => this.messages.length > this.taken || (this.ended && Infinity), 'a message', ms, note);
    if (this.messages.length <= this.taken) throw new Error(`closed with ${JSON.stringify(this.ended)}, no message`);
    return this.messages[this.taken++];
  }

  /** The next `count` messages. */
  async take(count, ms = DEADLINE) {
    const taken = [];
    while (taken.length < count) taken.push(await this.next(ms));
    return taken;
  }

  /** Resolves with { code, reason } when the connection is closed. */
  close(code, reason) {
    this.ws.close(code, reason);
    return this.end();
  }

  end(ms = DEADLINE) {
    return within(this.closed, 'the connection to close', ms, () => this.server.note());
  }

  /** Calls a function in this connection's worker, inside its text handler: (wsbroker, socketId, ...args). */
  run(fn, ...args) {
    return this.server.perform(fn, args, (order) => this.ws.send(`run:${order}`));
  }

  /**
   * Everything sent to this connection before now has come. Works with every worker that knows `run:`; what comes behind the
   * fence in the stream cannot have overtaken it.
   */
  async fence() {
    const mark = `fence ${++tags}`;
    await this.run((wsb, id, text) => wsb.send(id, text), mark);
    const from = this.taken;
    await until(() => this.messages.indexOf(mark, from) >= 0, 'the fence', DEADLINE, () => this.server.note());
    const at = this.messages.indexOf(mark, from);
    const before = this.messages.slice(from, at);
    this.taken = at + 1;
    return before;
  }
}

/** A server process under test. */
export class Server {
  constructor(child, folder) {
    this.child = child;
    this.folder = folder;
    this.stderr = '';
    this.stdout = '';
    this.orders = new Map();
    this.numbered = 0;
    this.clients = [];
    this.raws = [];
    this.told = new Told(() => this.note());
    this.exited = new Promise((resolve) => {
      child.on('error', (error) => resolve({ error }));
      child.on('close', (code, signal) => resolve((this.ended = { code, signal })));
    });
    child.stderr.setEncoding('utf8').on('data', (text) => (this.stderr += text));
    child.stdout.setEncoding('utf8').on('data', (text) => (this.stdout += text));
    child.stdin.on('error', () => {});
    const parts = new Map();
    createInterface({ input: child.stdio[3] }).on('line', (line) => {
      let event = JSON.parse(line);
      if (event.part !== undefined) {
        const text = (parts.get(event.part) ?? '') + event.text;
        parts.set(event.part, text);
        if (!event.last) return;
        parts.delete(event.part);
        event = JSON.parse(text);
      }
      if (event.type !== 'done') return this.told.add(event);
      const { resolve, reject } = this.orders.get(event.n);
      this.orders.delete(event.n);
      if (event.ok) resolve(event.none ? undefined : event.value);
      else reject(new RemoteError(event.error));
    });
    void this.exited.then((end) => {
      for (const { reject } of this.orders.values()) {
        reject(new Error(`the server process ended: ${JSON.stringify(end)}${this.note()}`));
      }
    });
  }

  /** For messages of failures: what the server process said last. */
  note() {
    const ended = this.ended ? `\nserver process ended: ${JSON.stringify(this.ended)}` : '';
    const said = this.stderr.trim() ? `\nserver's stderr:\n${this.stderr.trim().slice(-2000)}` : '';
    return ended + said;
  }

  perform(fn, args, give) {
    const n = ++this.numbered;
    const answer = new Promise((resolve, reject) => this.orders.set(n, { resolve, reject }));
    answer.catch(() => {});
    give(JSON.stringify({ n, source: String(fn), args }));
    return within(answer, `an answer of ${String(fn).slice(0, 80)}`, 2 * DEADLINE, () => this.note());
  }

  /** Calls a function on the server's main thread: (wsbroker, kit, ...args). */
  main(fn, ...args) {
    return this.perform(fn, args, (order) => this.child.stdin.write(order + '\n'));
  }

  /** All that has come to stderr, once the process has written something behind it. */
  async said() {
    const mark = `that was all, ${this.numbered}`;
    await this.main((wsb, kit, text) => process.stderr.write(`${text}\n`), mark);
    await until(() => this.stderr.includes(mark), 'the end of stderr', undefined, () => this.note());
    return this.stderr;
  }

  /** `start` on the server's main thread, with port 0 and one worker unless told otherwise. */
  async start(options = {}) {
    const started = await this.main((wsb, kit, given) => kit.start(given), { ...this.defaults, ...options });
    this.at ??= started;
    return started;
  }

  get url() {
    return this.at.url;
  }

  get port() {
    return this.at.port;
  }

  /** Opens a connection; `client.id` is the socket id when the worker tells its opens as the standard one does. */
  async connect(where = '', options = {}) {
    const { protocols = [], headers = {}, id = true, at = this.at, ...rest } = options;
    const tag = `tag-${++tags}`;
    const url = at.url + where;
    const ws = new WebSocket(url, protocols, {
      perMessageDeflate: false,
      headers: { 'x-tag': tag, ...headers },
      maxPayload: 64 << 20,
      ...rest,
    });
    const client = new Client(this, ws, tag);
    this.clients.push(client);
    await within(
      new Promise((resolve, reject) => {
        ws.on('open', resolve);
        ws.on('error', reject);
        ws.on('upgrade', (response) => (client.response = response));
      }),
      `a connection to ${url}`,
      DEADLINE,
      () => this.note(),
    );
    if (id && this.standard) client.id = (await this.told.next('open', (event) => event.tag === tag)).id;
    return client;
  }

  /** Asks for a connection that is expected to be refused: { status, headers, body }. */
  refused(where = '', { protocols = [], headers = {}, at = this.at, ...rest } = {}) {
    return within(
      new Promise((resolve, reject) => {
        const ws = new WebSocket(at.url + where, protocols, { perMessageDeflate: false, headers, ...rest });
        ws.on('unexpected-response', (request, response) => {
          let body = '';
          response.setEncoding('utf8').on('data', (text) => (body += text));
          response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }));
        });
        ws.on('error', reject);
        ws.on('open', () => {
          ws.terminate();
          reject(new Error('expected to be refused, but was let in'));
        });
      }),
      'a refusal',
      DEADLINE,
      () => this.note(),
    );
  }

  /** The server has nothing of its own to complain about. */
  assertQuiet() {
    assert.deepEqual(this.told.of('unhandledRejection'), [], 'no unhandled rejection');
    assert.deepEqual(this.told.of('uncaughtException'), [], 'no uncaught exception');
  }

  /** Writes a worker module: `body` is (wsbroker, kit) => handlers. */
  workerFile(body, { format = 'cjs', name = `worker-${++tags}` } = {}) {
    const file = path.join(this.folder, `${name}.${format}`);
    writeFileSync(file, workerSource(body, format));
    return file;
  }

  /** Any file beside the workers. */
  file(name, text) {
    const file = path.join(this.folder, name);
    writeFileSync(file, text);
    return file;
  }

  /** Cuts every connection that a test has made. */
  cut() {
    for (const client of this.clients) client.ws.terminate();
    for (const raw of this.raws) raw.destroy();
  }

  /** Stops the broker, and expects the process to find its end without help. */
  async stop() {
    this.cut();
    if (this.ended) return this.ended;
    await this.main(async (wsb, kit) => {
      await wsb.shutdown({ timeout: 1000 });
      kit.hold(false);
    });
    return this.exit();
  }

  exit(ms = DEADLINE) {
    return within(this.exited, 'the server process to end', ms, () => this.note());
  }
}

const NAMES = [
  'handleOpen', 'handleTextMessage', 'handleBinaryMessage', 'handleClose', 'handleDrain', 'handleLost', 'handleStart', 'handleStop', 'onError',
];

function workerSource(body, format) {
  const [pkg, kit] = [JSON.stringify(packageFile), JSON.stringify(kitFile)];
  if (format === 'cjs') {
    return `const kit = require(${kit});\nmodule.exports = (${body}\n)(require(${pkg}), kit);\n`;
  }
  const types = format === 'ts' ? 'const typed: number = 1; void typed;\n' : '';
  return [
    `import * as wsb from ${JSON.stringify(packageUrl)};`,
    `import kit from ${JSON.stringify(pathToFileURL(kitFile).href)};`,
    `${types}const handlers = (${body}\n)(wsb, kit);`,
    // An export that is undefined must be as good as none.
    `export const { ${NAMES.join(', ')} } = handlers;`,
    '',
  ].join('\n');
}

/**
 * Starts a server process, and in it a broker with one worker (unless `start: false`). Options:
 *   worker   (wsbroker, kit) => handlers; by default `kit.standard`, which tells every event
 *   format   'cjs' (default), 'mjs', or 'ts' on Bun
 *   options  for `start`
 *   start    false: only the process, for tests that call `start` themselves
 *   clean    false: the process is killed at the end; by default it must shut down and end by itself, with status 0
 */
export async function launch(t, { worker, format = 'cjs', options = {}, start = true, clean = true, env = {} } = {}) {
  const folder = mkdtempSync(path.join(tmpdir(), 'wsb-'));
  // Before the process: Bun remembers what it saw in a folder, and this is the one it starts in.
  const workerPath = path.join(folder, `worker.${format}`);
  writeFileSync(workerPath, workerSource(worker ?? ((wsb, kit) => kit.standard(wsb)), format));
  const child = spawn(runtime, [path.join(here, 'fixtures/main.cjs')], {
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    cwd: folder,
    env: { ...process.env, WSB_PACKAGE: packageFile, ...env },
  });
  const server = new Server(child, folder);
  const atExit = () => child.kill('SIGKILL');
  process.on('exit', atExit);
  t.after(async () => {
    try {
      if (server.ended === undefined && clean) {
        const end = await server.stop();
        assert.deepEqual(end, { code: 0, signal: null }, `the server process ends well${server.note()}`);
      } else if (server.ended?.signal && server.ended.signal !== 'SIGKILL') {
        throw new Error(`the server process crashed${server.note()}`);
      }
      server.assertQuiet();
    } finally {
      server.cut();
      process.off('exit', atExit);
      child.kill('SIGKILL');
      await server.exited;
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    }
  });
  await server.told.next('ready');
  server.standard = worker === undefined;
  server.defaults = { bind: '127.0.0.1:0', threads: options.threads ?? 1, workerPath, ...PATIENCE };
  if (start) await server.start(options);
  return server;
}

/** Rejects, and returns the error with what came from the server process; `code` is matched whole, `message` as a pattern. */
export async function failure(promise, { code, message, type } = {}) {
  let error;
  try {
    await promise;
  } catch (caught) {
    error = caught;
  }
  if (error === undefined) throw new assert.AssertionError({ message: 'expected a rejection, got none' });
  if (!(error instanceof RemoteError)) throw error;
  if (code !== undefined) assert.match(String(error.code), code instanceof RegExp ? code : new RegExp(`^${code}$`), error.message);
  if (message !== undefined) assert.match(error.message, message);
  if (type === 'TypeError') assert.ok(error.isTypeError, `a TypeError, got ${error.remoteName}: ${error.message}`);
  if (type === 'WSBrokerError') assert.equal(error.remoteName, 'WSBrokerError', error.message);
  return error;
}
