// The images of example/docker, followed instruction by instruction. IMAGE says which, and WSB_ADDON is
// an addon for its system: cargo has a stand-in, which has built it. As root.
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { must } from '../../scripts/cross/commands.mjs';
import { root } from '../../scripts/packages.mjs';
import { follow, runImage, stagesOf } from './image.mjs';
import { debianRoot, muslRoot } from './roots.mjs';

const { IMAGE, WSB_ADDON } = process.env;
const folder = mkdtempSync(path.join(tmpdir(), 'wsb-image-'));
const CLIENT = `
import WebSocket from 'ws';
const socket = new WebSocket('ws://127.0.0.1:8080');
socket.once('open', () => console.log('open'));
socket.once('close', (code) => console.log('closed', code));
`;

/** Says what it is asked for, and has already built it. */
const CARGO = `#!/bin/sh
[ "$1" = metadata ] || printf '%s\\nRUSTFLAGS=%s\\n' "$*" "$RUSTFLAGS" >> /cargo.said
case $1 in
  build) mkdir -p target/release && cp /addon target/release/libwsbroker.so ;;
  metadata) printf '{"target_directory":"%s/target"}' "$PWD" ;;
  *) echo "cargo $1 has no stand-in" >&2; exit 1 ;;
esac
`;
/** Knows the packages in /apk, which Alpine has under these names. */
const APK = `#!/bin/sh
[ "$1" = add ] || { echo "apk $1 has no stand-in" >&2; exit 1; }
shift
for name do
  case $name in -*) continue ;; esac
  [ -d "/apk/$name" ] || { echo "$name (no such package)" >&2; exit 1; }
  cp -R "/apk/$name/." /
done
`;

after(() => rmSync(folder, { recursive: true, force: true }));

describe(`the image of ${IMAGE}`, { timeout: 540_000 }, () => {
  let image;
  let container;

  let asked;

  before(async () => {
    const base = await { Alpine: muslRoot, Debian: debianRoot }[IMAGE]();
    const [node, build, last] = stagesOf(path.join(root, `example/docker/${IMAGE.toLowerCase()}.Dockerfile`));
    assert.equal(node.from, last.from, 'the addon is built with the Node that loads it');
    const stages = { [node.name]: imageOfNode(base, 'node'), [build.name]: imageOfRust(base, 'build') };
    follow(build.instructions, { system: stages[build.name], stages, env: { PATH: '/usr/local/cargo/bin:/usr/local/bin:/usr/bin:/bin' } });
    asked = readFileSync(path.join(stages[build.name], 'cargo.said'), 'utf8');
    image = follow(last.instructions, { system: imageOfNode(base, 'system'), stages });
    container = await runImage(image, 'Chat at http://localhost:8080');
  });
  after(() => container?.remove());

  test('the addon is built as for a release, by cargo alone', () => {
    assert.match(asked, /^build --package wsbroker --locked --profile release$/m);
    assert.match(asked, /^RUSTFLAGS=.*--remap-path-prefix=/m);
    // An addon cannot have a libc of its own, and on Alpine that is Rust's default.
    if (IMAGE === 'Alpine') assert.match(asked, /^RUSTFLAGS=.*-C ?target-feature=-crt-static/m);
    const { packages } = JSON.parse(must('cargo', ['metadata', '--offline', '--no-deps', '--format-version=1'], { cwd: path.join(folder, 'build/wsbroker') }).stdout);
    assert.ok(packages.length > 1, 'the whole workspace was copied');
  });

  test('Node is the first process, and not root', () => {
    const field = (name) => new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(container.status())[1].split(/\s+/);
    assert.equal(field('NSpid').at(-1), '1');
    assert.deepEqual(field('Uid'), Array(4).fill('1000'));
    assert.deepEqual(field('Gid'), Array(4).fill('1000'));
    assert.match(container.exec('node', '-p', 'require("fs").readFileSync("/proc/1/cmdline", "utf8")').stdout, /^node\0chat\/server\.mjs\0/);
  });

  test('HEALTHCHECK succeeds', () => {
    const { status, stderr } = container.exec(...image.healthcheck);
    assert.equal(status, 0, stderr);
  });

  test('the program cannot change its files', () => {
    const { status, stderr } = container.exec('node', '-e', 'require("fs").writeFileSync("/app/chat/server.mjs", "")');
    assert.notEqual(status, 0);
    assert.match(stderr, /EROFS|EACCES/);
    const owners = must('find', [path.join(image.system, 'app'), '!', '-user', '0']).stdout;
    assert.equal(owners, '', 'files belong to root');
  });

  test('docker stop reaches Node: clients are told to reconnect, and it ends with 0', async () => {
    const client = container.client(process.execPath, '--input-type=module', '--eval', CLIENT);
    const lines = client.stdout.setEncoding('utf8')[Symbol.asyncIterator]();
    assert.equal((await lines.next()).value, 'open\n');
    assert.equal(await container.stop(), 0);
    assert.equal((await lines.next()).value, 'closed 1012\n');
    await container.remove();
  });
});

/** A system with Node and npm where images of Node have them. */
function imageOfNode(base, name) {
  const system = copyOf(base, name);
  mkdirSync(path.join(system, 'usr/local/bin'), { recursive: true });
  renameSync(path.join(system, 'usr/bin/node'), path.join(system, 'usr/local/bin/node'));
  const npm = path.join(must('npm', ['root', '--global']).stdout.trim(), 'npm');
  cpSync(npm, path.join(system, 'usr/local/lib/node_modules/npm'), { recursive: true });
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', path.join(system, 'usr/local/bin/npm'));
  return system;
}

/** A system without Node, where images of Rust have cargo. */
function imageOfRust(base, name) {
  const system = copyOf(base, name);
  rmSync(path.join(system, 'usr/bin/node'));
  copyFileSync(WSB_ADDON, path.join(system, 'addon'));
  program(system, 'usr/local/cargo/bin/cargo', CARGO);
  if (IMAGE === 'Alpine') {
    // Node needs it, and the image has it only once it is added.
    const libraries = 'usr/lib/x86_64-linux-musl';
    mkdirSync(path.join(system, 'apk/libstdc++', libraries), { recursive: true });
    for (const file of readdirSync(path.join(system, libraries)).filter((file) => file.startsWith('libstdc++'))) {
      renameSync(path.join(system, libraries, file), path.join(system, 'apk/libstdc++', libraries, file));
    }
    mkdirSync(path.join(system, 'apk/musl-dev'));
    program(system, 'usr/bin/apk', APK);
  }
  return system;
}

/** Its files are those of the cache under other names, so nothing writes to them. */
function copyOf(base, name) {
  const system = path.join(folder, name);
  must('cp', ['-al', base, system]);
  chmodSync(path.join(system, 'tmp'), 0o1777);
  return system;
}

function program(system, file, text) {
  const whole = path.join(system, file);
  mkdirSync(path.dirname(whole), { recursive: true });
  writeFileSync(whole, text, { mode: 0o755 });
}
