// Runs the Autobahn test suite (its fuzzing client) against the built addon. By itself: `node run.mjs [option ...] [section or case ...]`;
// the options stand at the end of this file.
//
// The suite is a program for Python 2.7 and is used as published: it and all it needs come from PyPI into a virtual environment
// of its own under test/.cache/. A case counts as passed only if the suite calls it OK or INFORMATIONAL, its closing included:
// UNIMPLEMENTED and NON-STRICT are failures here, and so is a case that did not run.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, homedir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { logOf, must, outDir, root, run, StepFailed } from '../../runner/child.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const requirements = path.join(here, 'requirements.txt');
const venv = path.join(root, 'test/.cache/autobahn');
const bin = (name) => path.join(venv, 'bin', name);

/** Framing, pings, reserved bits, opcodes, fragmentation, UTF-8, closing; 9 sizes, 10 chopped frames. 8 and 11 do not exist. */
const PLAIN = ['1', '2', '3', '4', '5', '6', '7', '9', '10'];
/** Compression: sizes and kinds of content, and with every parameter that can be agreed on. */
const DEFLATE = ['12', '13'];
/** All 517 cases. */
export const ALL = [...PLAIN, ...DEFLATE];
/** For every day: of compression a short case of each kind. */
export const QUICK = [...PLAIN, ...[1, 2, 3, 4, 5].map((kind) => `12.${kind}.1`), ...[1, 2, 3, 4, 5, 6, 7].map((kind) => `13.${kind}.1`)];

function python27() {
  const versions = path.join(homedir(), '.pyenv/versions');
  const own = existsSync(versions) ? readdirSync(versions).filter((name) => name.startsWith('2.7.')) : [];
  return [
    process.env.PY27,
    ...own.map((name) => path.join(versions, name, 'bin/python2.7')),
    '/usr/bin/python2.7',
    '/usr/local/bin/python2.7',
  ].find((file) => file && existsSync(file));
}

/** Why it cannot run here, if so. */
export function missing() {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return { why: 'the suite is pinned for x86-64 Linux', enable: 'run it on such a machine' };
  }
  if (!python27() && !existsSync(bin('wstest'))) {
    return { why: 'it needs a CPython 2.7', enable: 'pyenv install 2.7.18, or PY27=/path/to/python2.7' };
  }
  return undefined;
}

async function install(log) {
  const wanted = createHash('sha256').update(readFileSync(requirements)).digest('hex');
  const stamp = path.join(venv, 'installed');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  rmSync(venv, { recursive: true, force: true });
  // The last virtualenv that can make an environment for Python 2.7, in a throw-away environment of Python 3.
  const maker = `${venv}.maker`;
  rmSync(maker, { recursive: true, force: true });
  await must('python3', ['-m', 'venv', maker], { log });
  await must(path.join(maker, 'bin/pip'), ['-q', 'install', 'virtualenv==20.21.1'], { log });
  await must(path.join(maker, 'bin/virtualenv'), ['-q', '-p', python27(), venv], { log });
  await must(bin('pip'), ['-q', 'install', '--require-hashes', '--no-deps', '-r', requirements], { log, minutes: 10 });
  rmSync(maker, { recursive: true, force: true });
  writeFileSync(stamp, wanted);
}

async function startServer() {
  const child = spawn(process.execPath, [path.join(here, 'server.cjs')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const url = await new Promise((resolve, reject) => {
    child.stdout.once('data', (text) => resolve(String(text).trim()));
    child.once('exit', (code) => reject(new StepFailed(`the echo server ended with ${code}`)));
  });
  return { url, child };
}

/** { passed, failed, skipped }, and the cases that failed in the error's message. Of several rounds all count. */
export async function runAutobahn(sections = QUICK, { times = 1, busy = false, minutes = 10 } = {}) {
  const folder = path.join(outDir, 'autobahn');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await install(logOf('autobahn-install'));
  const server = await startServer();
  const others = busy ? Array.from({ length: 2 * availableParallelism() }, () => spawn(process.execPath, ['-e', 'for (;;);'])) : [];
  const total = { passed: 0, failed: 0, skipped: 0 };
  const errors = [];
  try {
    const spec = {
      outdir: path.join(folder, 'report'),
      servers: [{ agent: 'wsbroker', url: server.url }],
      cases: sections.map((section) => (isCase(section) ? section : `${section}.*`)),
      'exclude-cases': [],
      'exclude-agent-cases': {},
    };
    writeFileSync(path.join(folder, 'spec.json'), JSON.stringify(spec));
    await must(bin('python'), [path.join(here, 'cases.py'), folder], { log: logOf('autobahn-cases') });
    for (let round = 1; round <= times; round++) {
      rmSync(spec.outdir, { recursive: true, force: true });
      const log = logOf('autobahn');
      const end = await run(bin('wstest'), ['-m', 'fuzzingclient', '-s', path.join(folder, 'spec.json')], { log, minutes });
      try {
        add(total, judge(folder, log, end));
      } catch (error) {
        if (!(error instanceof StepFailed)) throw error;
        add(total, error.counts);
        errors.push(error);
        if (times > 1) console.error(`round ${round}: ${error.message}`);
      }
    }
  } finally {
    server.child.kill('SIGKILL');
    for (const other of others) other.kill('SIGKILL');
  }
  if (errors.length === 0) return total;
  const [first] = errors;
  const message = times > 1 ? `${errors.length} of ${times} rounds failed, first: ${first.message}` : first.message;
  throw new StepFailed(message, { counts: total, log: first.log });
}

/** In sections 2, 3 and 5 the name of a case has two numbers, in the others three. */
const isCase = (name) => name.split('.').length === (/^[235]\./.test(name) ? 2 : 3);

function add(total, counts) {
  for (const key of Object.keys(total)) total[key] += counts[key];
}

function judge(folder, log, end) {
  const due = JSON.parse(readFileSync(path.join(folder, 'due.json'), 'utf8'));
  const index = path.join(folder, 'report/index.json');
  // The suite writes its report at the very end only.
  const results = existsSync(index) ? JSON.parse(readFileSync(index, 'utf8')).wsbroker ?? {} : {};
  const good = ['OK', 'INFORMATIONAL'];
  const fine = ({ behavior, behaviorClose } = {}) => good.includes(behaviorClose) && good.includes(behavior);
  const failed = due.filter((id) => !fine(results[id]));
  const counts = { passed: due.length - failed.length, failed: failed.length, skipped: 0 };
  if (due.length > 0 && failed.length === 0) return counts;
  const shown = failed.slice(0, 20).map((id) => {
    const { behavior = 'not run', behaviorClose = '' } = results[id] ?? {};
    return `${id} ${behavior}${good.includes(behaviorClose) ? '' : ` (closing: ${behaviorClose})`}`;
  });
  const why = end.timedOut ? 'stopped by its time limit: ' : '';
  throw new StepFailed(`${why}${shown.join(', ')}${failed.length > 20 ? ', …' : ''}; see ${path.relative(root, folder)}/report`, {
    counts,
    ...(Object.keys(results).length === 0 && { log }),
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      all: { type: 'boolean', default: false }, // every case, half an hour
      times: { type: 'string', default: '1' }, // so many rounds, for what fails now and then
      busy: { type: 'boolean', default: false }, // on a machine that has more to do than it can
    },
  });
  const reason = missing();
  if (reason) throw new Error(`${reason.why}; ${reason.enable}`);
  const sections = positionals.length > 0 ? positionals : values.all ? ALL : QUICK;
  try {
    console.log(await runAutobahn(sections, { times: Number(values.times), busy: values.busy, minutes: 60 }));
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    console.error(error.message, error.counts);
    process.exitCode = 1;
  }
}
