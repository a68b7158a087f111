'use strict';
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { test } = require('node:test');

const root = path.join(__dirname, '..', '..');
const { runProgram } = require(path.join(root, 'lib/cli/program.cjs'));
const { UsageError } = require(path.join(root, 'lib/cli/command.cjs'));

/** What a run of the program writes, and how it ends. */
async function run(args, commands) {
  const output = { out: '', err: '' };
  const { stdout, stderr } = process;
  const [write, complain] = [stdout.write, stderr.write];
  stdout.write = (text) => ((output.out += text), true);
  stderr.write = (text) => ((output.err += text), true);
  try {
    return { code: await runProgram(args, commands), ...output };
  } finally {
    [stdout.write, stderr.write] = [write, complain];
  }
}

const command = (run) => ({ usage: 'FILE [--fast]', summary: 'Does it.', details: ['More of it.'], run });
const commands = {
  doit: command(async (args) => args.length),
  misuse: command(async () => {
    throw new UsageError('FILE is missing');
  }),
  fail: command(async () => {
    throw new Error('the disk is full');
  }),
};

test('a command gets what follows its name, and its number is the exit code', async () => {
  assert.deepEqual(await run(['doit', 'a', '--fast'], commands), { code: 2, out: '', err: '' });
});

test('a name that is close to a command gets it as a hint, and any other the list', async () => {
  const near = await run(['doti'], commands);
  assert.deepEqual(near, { code: 2, out: '', err: 'wsbroker: there is no command "doti"; did you mean "doit"?\n' });
  const { code, err } = await run(['constructor'], commands);
  assert.equal(code, 2);
  assert.match(err, /no command "constructor"; the commands are: doit, misuse, fail;/);
  assert.match((await run(['--nothing'], commands)).err, /there is no option "--nothing"/);
});

test('wrong arguments are told from a failure', async () => {
  const misuse = await run(['misuse'], commands);
  assert.deepEqual(misuse, { code: 2, out: '', err: 'wsbroker misuse: FILE is missing\nusage: wsbroker misuse FILE [--fast]\n' });
  assert.deepEqual(await run(['fail'], commands), { code: 1, out: '', err: 'wsbroker fail: the disk is full\n' });
});

test('help goes to stdout when it is asked for, and to stderr when nothing is', async () => {
  for (const args of [['--help'], ['-h'], ['help']]) {
    const { code, out, err } = await run(args, commands);
    assert.deepEqual([code, err], [0, '']);
    assert.match(out, /^ {2}doit FILE \[--fast\] +Does it\.$/m);
  }
  const nothing = await run([], commands);
  assert.deepEqual([nothing.code, nothing.out], [2, '']);
  for (const args of [['doit', '--help'], ['doit', 'x', '-h'], ['help', 'doit']]) {
    const { code, out } = await run(args, commands);
    assert.deepEqual([code, out], [0, 'usage: wsbroker doit FILE [--fast]\n\nDoes it.\n\nMore of it.\n']);
  }
});

test('the program of the package runs', () => {
  const { bin, version } = require(path.join(root, 'package.json'));
  const program = path.join(root, bin.wsbroker);
  const shown = spawnSync(process.execPath, [program, '--version'], { encoding: 'utf8', timeout: 30_000 });
  assert.deepEqual([shown.status, shown.stdout], [0, `${version}\n`]);
  assert.equal(spawnSync(process.execPath, [program, 'nothing'], { timeout: 30_000 }).status, 2);
});
