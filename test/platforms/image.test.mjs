// The images of example/docker, their last stage followed instruction by instruction. IMAGE says
// which, and WSB_ADDON is an addon for its system. As root.
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { must } from '../../scripts/cross/commands.mjs';
import { mainManifest, root } from '../../scripts/packages.mjs';
import { follow, lastStage, runImage } from './image.mjs';
import { debianRoot, muslRoot } from './roots.mjs';

const { IMAGE, WSB_ADDON } = process.env;
const folder = mkdtempSync(path.join(tmpdir(), 'wsb-image-'));
const system = path.join(folder, 'system');
const CLIENT = `
import WebSocket from 'ws';
const socket = new WebSocket('ws://127.0.0.1:8080');
socket.once('open', () => console.log('open'));
socket.once('close', (code) => console.log('closed', code));
`;

after(() => rmSync(folder, { recursive: true, force: true }));

describe(`the image of ${IMAGE}`, { timeout: 180_000 }, () => {
  let image;
  let container;

  before(async () => {
    // Its files are those of the cache under other names, so nothing writes to them.
    must('cp', ['-al', await { Alpine: muslRoot, Debian: debianRoot }[IMAGE](), system]);
    // What images of Node have besides Node.
    const npm = path.join(must('npm', ['root', '--global']).stdout.trim(), 'npm');
    cpSync(npm, path.join(system, 'usr/local/lib/node_modules/npm'), { recursive: true });
    mkdirSync(path.join(system, 'usr/local/bin'), { recursive: true });
    symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', path.join(system, 'usr/local/bin/npm'));
    chmodSync(path.join(system, 'tmp'), 0o1777);
    image = follow(lastStage(path.join(root, `example/docker/${IMAGE.toLowerCase()}.Dockerfile`)), { system, built: { '/wsbroker.tgz': packed() } });
    container = await runImage(image, 'Chat at http://localhost:8080');
  });
  after(() => container?.remove());

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
    const owners = must('find', [path.join(system, 'app'), '!', '-user', '0']).stdout;
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

/** What the stage that builds ends with: `npm pack`, with the addon for this system in it. */
function packed() {
  const [clone, lib] = [path.join(folder, 'clone'), path.join(root, 'lib')];
  const { files, ...manifest } = mainManifest();
  for (const name of [...files, 'package.json', 'README.md', 'LICENSE.txt'].map((file) => file.split('/')[0])) {
    cpSync(path.join(root, name), path.join(clone, name), { recursive: true, filter: (file) => !/(^|\/)(node_modules|target)$|\.node$/.test(file) });
  }
  copyFileSync(WSB_ADDON, path.join(clone, path.relative(root, lib), path.basename(WSB_ADDON)));
  must('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: clone });
  return path.join(folder, `${manifest.name}-${manifest.version}.tgz`);
}
