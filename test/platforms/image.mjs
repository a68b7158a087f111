// A Dockerfile without Docker: the instructions of a stage change a folder with a system, and the
// command of the last one runs there as Docker runs it: as the first process, not as root, without a
// network but its own, and with all files read-only.
import { spawn } from 'node:child_process';
import { cpSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { command, must } from '../../scripts/cross/commands.mjs';
import { root } from '../../scripts/cross/tools.mjs';

const DEADLINE = Number(process.env.WSB_DEADLINE || 60_000);

/** The stages of a Dockerfile: { from, name, instructions }, each instruction [name, arguments]. */
export function stagesOf(file) {
  const lines = readFileSync(file, 'utf8').replaceAll('\r\n', '\n').split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const stages = [];
  for (const line of lines) {
    const [name, rest] = [line.split(' ', 1)[0], line.slice(line.indexOf(' ') + 1)];
    if (name !== 'FROM') stages.at(-1).instructions.push([name, rest]);
    else {
      const [, from, , stage] = /^(\S+)( AS (\S+))?$/.exec(rest);
      stages.push({ from, name: stage, instructions: [] });
    }
  }
  return stages;
}

/** What Docker is not sent: patterns of .dockerignore, for a path in the clone. */
export function dockerIgnores(patterns = readFileSync(path.join(root, '.dockerignore'), 'utf8').split(/\r?\n/).filter(Boolean)) {
  const sources = patterns.map((pattern) => pattern.replaceAll('.', '\\.').replaceAll('**/', '(.*/)?').replaceAll(/(?<!\.)\*/g, '[^/]*'));
  const ignored = new RegExp(`^(${sources.join('|')})$`);
  return (file) => ignored.test(file);
}

/**
 * Follows the instructions in the folder `system`. `stages` has the folders of those before it, by
 * name, and `env` is what the system that it begins with says.
 *
 * @returns what the image says of itself: { system, env, cwd, user, program, healthcheck }
 */
export function follow(instructions, { system, stages = {}, env = {} }) {
  const image = { system, env: { PATH: '/usr/local/bin:/usr/bin:/bin', ...env }, cwd: '/', user: '0:0', program: undefined, healthcheck: undefined };
  const inImage = (file) => path.join(system, path.posix.resolve(image.cwd, file));
  const ignored = dockerIgnores();
  for (const [name, rest] of instructions) {
    if (name === 'ENV') for (const [, key, quoted, plain] of rest.matchAll(/(\w+)=(?:"([^"]*)"|(\S+))/g)) image.env[key] = quoted ?? plain;
    else if (name === 'WORKDIR') {
      image.cwd = rest;
      must('mkdir', ['-p', inImage('.')]);
    } else if (name === 'COPY') {
      const words = rest.split(' ');
      const [from, to] = words.slice(-2);
      const stage = /^--from=(.*)$/.exec(words[0])?.[1];
      if (stage !== undefined && stages[stage] === undefined) throw new Error(`COPY ${rest}: there is no stage ${stage} before it`);
      const source = path.join(stage === undefined ? root : stages[stage], from);
      const target = to.endsWith('/') ? path.join(inImage(to), path.basename(from)) : inImage(to);
      const taken = (file) => stage !== undefined || !ignored(path.relative(root, file).replaceAll(path.sep, '/'));
      cpSync(source, target, { recursive: true, verbatimSymlinks: true, filter: taken });
    } else if (name === 'RUN') must(...enter(image, ['sh', '-c', rest]), { timeout: 2 * DEADLINE, killSignal: 'SIGKILL' });
    else if (name === 'USER') image.user = rest;
    else if (name === 'HEALTHCHECK') image.healthcheck = JSON.parse(rest.slice(rest.indexOf('CMD ') + 4));
    else if (name === 'CMD') image.program = JSON.parse(rest);
    else if (name !== 'EXPOSE') throw new Error(`the instruction ${name} is not known here`);
  }
  return image;
}

/** A command in the image, where /proc and /dev are as they are in a container. */
function enter({ system, env, cwd, user }, program, { own = [], before = [] } = {}) {
  const variables = Object.entries({ HOME: user.startsWith('0:') ? '/root' : '/tmp', ...env }).map(([key, value]) => `${key}=${value}`);
  const mounts = [
    `mount --bind "${system}" "${system}"`,
    `mount -t tmpfs tmpfs "${system}/dev" && mknod -m 666 "${system}/dev/null" c 1 3 && mknod -m 666 "${system}/dev/urandom" c 1 9`,
    `mount -t proc proc "${system}/proc"`,
    ...before,
  ];
  const script = `${mounts.join(' && ')} && exec chroot --userspec=${user} "${system}" /usr/bin/env -i "$@"`;
  return ['unshare', ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', ...own, 'sh', '-c', script, 'sh', ...variables, 'sh', '-c', `cd ${cwd} && exec "$0" "$@"`, ...program]];
}

/** Runs the command of the image, as `docker run --read-only` does. Resolves when it says `ready`. */
export async function runImage(image, ready) {
  const before = [`mount -o remount,ro,bind "${image.system}"`, 'ip link set lo up'];
  const [program, args] = enter(image, image.program, { own: ['--net'], before });
  const outside = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  const ended = new Promise((resolve) => outside.once('close', (code, signal) => resolve(code ?? signal)));
  const within = (promise, what) => {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not within ${DEADLINE} ms: ${what}\n${said}`)), DEADLINE);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
  };
  try {
    await within(new Promise((resolve, reject) => {
      const look = (chunk) => {
        said += chunk;
        if (said.includes(ready)) resolve();
      };
      outside.stdout.on('data', look);
      outside.stderr.on('data', look);
      outside.once('error', reject);
      ended.then((end) => reject(new Error(`the image ended with ${end}:\n${said}`)));
    }), `the image says ${ready}`);
  } catch (error) {
    outside.kill('SIGKILL');
    throw error;
  }
  const first = readFileSync(`/proc/${outside.pid}/task/${outside.pid}/children`, 'utf8').trim();
  const beside = (...words) => ['nsenter', ['--target', first, ...words]];
  return {
    /** What the system says of the first process: lines of /proc/1/status. */
    status: () => readFileSync(`/proc/${first}/status`, 'utf8'),
    /** A command in the container, as the user and with the variables of the image. */
    exec: (...words) => {
      const variables = Object.entries(image.env).map(([key, value]) => `${key}=${value}`);
      const [name, args] = beside('--mount', '--net', '--pid', '--root', `--wd=/proc/${first}/cwd`, '--setuid', image.user.split(':')[0], '--setgid', image.user.split(':')[1]);
      return command(name, [...args, '/usr/bin/env', '-i', ...variables, ...words], { timeout: DEADLINE, killSignal: 'SIGKILL' });
    },
    /** A program of this machine that uses the container's network. */
    client: (...words) => {
      const [name, args] = beside('--net');
      return spawn(name, [...args, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
    },
    /** `docker stop`: resolves to the status that it ended with. */
    stop: () => {
      process.kill(Number(first), 'SIGTERM');
      return within(ended, 'the image has ended after SIGTERM');
    },
    /** The end in any case: with the first process of a container all others go. */
    async remove() {
      outside.kill('SIGKILL');
      await ended;
    },
  };
}
