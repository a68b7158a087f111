'use strict';
// Programs of their own, on Node and Bun: what keeps a process alive, and whether it ends.
const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { after, beforeEach, describe, test } = require('node:test');

const folder = mkdtempSync(join(tmpdir(), 'wsbroker-'));
const log = join(folder, 'log');
const recorded = () => readFileSync(log, 'utf8').split('\n').filter(Boolean).map((line) => line.split(' ')[0]);
const worker = (name) => join(__dirname, 'workers', name);
const bun = join(__dirname, '..', '..', 'node_modules', '.bin', process.platform === 'win32' ? 'bun.exe' : 'bun');

after(() => rmSync(folder, { recursive: true }));

for (const [runtime, binary] of [['node', process.execPath], ['bun', bun]]) {
  describe(runtime, { skip: !existsSync(binary) && `no ${binary}` }, () => {
    /** Runs the program to its end and returns what it wrote to stdout, line by line. */
    const run = (program, ...args) =>
      new Promise((resolve, reject) => {
        const child = spawn(binary, [join(__dirname, 'programs', program), ...args], {
          env: { ...process.env, WSBROKER_BINARY: join(__dirname, 'fake-native.cjs'), WSBROKER_TEST_LOG: log },
          stdio: ['ignore', 'pipe', 'pipe'],
          timeout: 20_000,
        });
        let [out, err] = ['', ''];
        child.stdout.on('data', (chunk) => (out += chunk));
        child.stderr.on('data', (chunk) => (err += chunk));
        child.on('close', (code, signal) => {
          if (code === 0) resolve(out.trim().split('\n'));
          else reject(new Error(`${program} ended with ${code ?? signal}\n${out}\n${err}`));
        });
      });

    beforeEach(() => writeFileSync(log, ''));

    for (const threads of ['0', '2']) {
      test(`a server keeps the process alive and shutdown lets it go, threads: ${threads}`, async () => {
        const out = await run('lives.mjs', worker(threads === '0' ? 'good.mjs' : 'good.cjs'), threads);
        assert.deepEqual(out, ['listening 4321', 'stopping {"closed":0,"terminated":0}']);
        assert.deepEqual(recorded(), threads === '0' ? ['start'] : ['start', 'start', 'stop', 'stop']);
      });

      test(`a process without servers ends, threads: ${threads}`, async () => {
        assert.deepEqual(await run('closes.cjs', worker('good.mjs'), threads), ['listening', 'closed']);
      });

      for (const [name, told] of [
        ['throws.cjs', /^ERR_WSBROKER_WORKER_FAILED RangeError broken module$/],
        ['start-rejects.mjs', /^ERR_WSBROKER_WORKER_FAILED Error not today$/],
        ['syntax.mjs', /^ERR_WSBROKER_WORKER_FAILED \w+/],
      ]) {
        test(`a start that fails lets the process end: ${name}, threads: ${threads}`, async () => {
          const out = await run('fails.mjs', worker(name), threads);
          assert.match(out[0], told);
        });
      }
    }

    test('a module that exits while it loads rejects start', async () => {
      assert.deepEqual(await run('fails.mjs', worker('exits.cjs'), '2'), ['ERR_WSBROKER_WORKER_FAILED undefined undefined']);
    });

    test('a registration alone keeps nobody alive and the names are there for ESM', async () => {
      assert.deepEqual(await run('registers.mjs'), ['function function function true']);
    });

    test('a worker that dies is replaced', async () => {
      const out = await run('dies.mjs', worker('dies.cjs'));
      assert.deepEqual(out.slice(0, 5), ['started ', 'died died of a timer', 'started ', 'died died of a timer', 'started ']);
    });

    if (runtime !== 'node' || Number(process.versions.node.split('.')[0]) >= 24) {
      test('a worker may be TypeScript', async () => {
        await run('lives.mjs', worker('types.ts'), '1');
        assert.deepEqual(recorded(), ['start']);
      });
    }
  });
}
