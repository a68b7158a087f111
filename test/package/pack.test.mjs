// What `npm run pack` makes: installed into an empty folder, it runs.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import WebSocket from 'ws';

import { packedLinks } from '../../scripts/pack/links.mjs';
import { installPacked, tryChat } from '../../scripts/pack/try-installed.mjs';
import { formatOf, tooNew } from '../../scripts/pack/format.mjs';
import { addonOf, filesOf, packRelease } from '../../scripts/pack.mjs';
import { loaderSource, mainManifest, platformsOf, root } from '../../scripts/packages.mjs';
import { filesBelow } from '../../scripts/lint/sources.mjs';

const { platformTarget } = createRequire(import.meta.url)('../../lib/native/target.cjs');
const target = platformTarget();
const folder = mkdtempSync(path.join(tmpdir(), 'wsb-package-'));
const main = mainManifest();
const manifestOf = (where) => JSON.parse(readFileSync(path.join(where, 'package.json'), 'utf8'));
/** Requires the installed package in a process of its own. */
const requireIn = (where) => spawnSync(process.execPath, ['-e', `require('wsbroker').connectionCount()`], { cwd: where, encoding: 'utf8' });

after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

test('npm run pack -- --no-build does not build, though npm runs prepack before it; npm pack does', () => {
  const bin = path.join(folder, 'bin');
  mkdirSync(bin);
  const asked = path.join(bin, 'asked');
  for (const name of ['cargo', 'cargo.cmd']) writeFileSync(path.join(bin, name), name === 'cargo' ? `#!/bin/sh\necho "$*" >> "${asked}"\nexit 1\n` : `@echo %* >> "${asked}"\r\n@exit 1\r\n`, { mode: 0o755 });
  const npm = (...args) => spawnSync('npm', args, { cwd: root, encoding: 'utf8', shell: process.platform === 'win32', env: { ...process.env, PATH: `${bin}${path.delimiter}${process.env.PATH}` } });
  const { status, stderr } = npm('run', 'pack', '--', '--no-build', '--to', bin);
  assert.equal(existsSync(asked), false, existsSync(asked) && readFileSync(asked, 'utf8'));
  assert.match(stderr, /holds other files than packages/);
  assert.notEqual(status, 0);
  npm('pack', '--dry-run');
  assert.ok(existsSync(asked), 'npm pack builds');
});

describe('a release under a scope', { timeout: 240_000 }, () => {
  const app = path.join(folder, 'app');
  let archives;
  let installed;

  before(() => {
    archives = packRelease({ to: path.join(folder, 'dist'), scope: '@acme', repository: 'https://git.example/acme/wsbroker.git' });
    installed = installPacked(app, archives);
  });

  test('the main package names the others by the exact version, and where it comes from', () => {
    const manifest = manifestOf(installed);
    assert.equal(manifest.name, '@acme/wsbroker');
    assert.equal(manifest.optionalDependencies[`@acme/wsbroker-${target}`], main.version);
    assert.deepEqual([manifest.repository.url, manifest.bugs.url, manifest.homepage], ['git+https://git.example/acme/wsbroker.git', 'https://git.example/acme/wsbroker/issues', 'https://git.example/acme/wsbroker#readme']);
    for (const key of ['scripts', 'devDependencies', 'workspaces']) assert.ok(!(key in manifest), key);
    assert.equal(archives.at(-1), path.join(folder, 'dist', `acme-wsbroker-${main.version}.tgz`));
  });

  test('the addon is in the package of the platform alone, with the notices', () => {
    assert.deepEqual(packedFiles(installed).filter((file) => file.endsWith('.node')), []);
    const platform = path.join(app, 'node_modules/@acme', `wsbroker-${target}`);
    assert.ok(existsSync(path.join(platform, `wsbroker.${target}.node`)));
    for (const file of ['LICENSE.txt', 'THIRD-PARTY.txt']) assert.ok(existsSync(path.join(platform, file)), file);
    assert.equal(manifestOf(platform).version, main.version);
  });

  test('the chat that is in it runs, and two clients talk', async () => {
    assert.match(await tryChat(installed, { WebSocket }), /hello from the package/);
  });

  test('links of its README lead to the repository, those of other pages to files that are there', () => {
    const relative = packedFiles(installed).filter((file) => file.endsWith('.md')).flatMap((file) => linksOf(installed, file).map((link) => [file, link]));
    assert.deepEqual(relative.filter(([file]) => file === 'README.md'), []);
    assert.deepEqual(relative.filter(([file, link]) => !existsSync(path.join(installed, path.dirname(file), link))), []);
    assert.match(readFileSync(path.join(installed, 'README.md'), 'utf8'), new RegExp(`\\(https://git\\.example/acme/wsbroker/blob/v${main.version}/docs/faq\\.md`));
  });

  test('the package of the platform in another version is refused, with what to do', () => {
    const platform = path.join(app, 'node_modules/@acme', `wsbroker-${target}`, 'package.json');
    const right = readFileSync(platform, 'utf8');
    writeFileSync(platform, JSON.stringify({ ...JSON.parse(right), version: '99.0.0' }));
    const { status, stderr } = requireIn(app);
    writeFileSync(platform, right);
    assert.notEqual(status, 0);
    assert.match(stderr, new RegExp(`package @acme/wsbroker-${target}: its version is 99\\.0\\.0, that of @acme/wsbroker is ${main.version}`));
    assert.match(stderr, /must have the same version\. Run: npm install @acme\/wsbroker@/);
    assert.equal(requireIn(app).status, 0);
  });

  test('the package of somebody else that has the name without the scope is not loaded', () => {
    const own = path.join(app, 'node_modules/@acme', `wsbroker-${target}`);
    const foreign = path.join(app, 'node_modules', `wsbroker-${target}`);
    rmSync(own, { recursive: true });
    mkdirSync(foreign);
    writeFileSync(path.join(foreign, 'package.json'), JSON.stringify({ name: `wsbroker-${target}`, version: main.version, main: 'index.js' }));
    writeFileSync(path.join(foreign, 'index.js'), "console.log('LOADED')");
    const { status, stdout, stderr } = requireIn(app);
    assert.notEqual(status, 0);
    assert.doesNotMatch(stdout, /LOADED/);
    assert.match(stderr, new RegExp(`package @acme/wsbroker-${target}: not installed`));
  });
});

describe('a package made in a clone', { timeout: 120_000 }, () => {
  test('without a repository, no link leads nowhere', () => {
    const archives = packRelease({ to: path.join(folder, 'plain'), addonOf: (_, one) => (one.name === target ? standIn(one) : undefined) });
    const installed = installPacked(path.join(folder, 'plain-app'), archives);
    assert.equal(manifestOf(installed).name, main.name);
    const dead = packedFiles(installed).filter((file) => file.endsWith('.md'))
      .flatMap((file) => linksOf(installed, file).filter((link) => !existsSync(path.join(installed, path.dirname(file), link))).map((link) => `${file}: ${link}`));
    assert.deepEqual(dead, []);
  });

  test('a platform without an addon is missed if all are wanted', () => {
    const lacking = platformsOf(main)[0].name;
    const pack = (without, text) => packRelease({ to: path.join(folder, 'all'), all: true, addonOf: (_, one) => (one.name === without ? undefined : standIn(one, text)) });
    assert.throws(() => pack(lacking), new RegExp(`no addon for ${lacking}: each is expected in`));
    assert.equal(pack(undefined).length, main.napi.targets.length + 1);
    for (const place of ['/home/me/.cargo/registry/src/x/tokio/src/lib.rs', 'C:\\Users\\me\\.cargo\\registry\\src\\x']) {
      assert.throws(() => pack(undefined, place), /has paths of the machine that it was built on/);
    }
  });

  test('an addon that was built for another platform is refused, whatever its name', () => {
    const [gnu, musl, arm, mac, windows] = ['linux-x64-gnu', 'linux-x64-musl', 'linux-arm64-gnu', 'darwin-arm64', 'win32-x64-msvc'].map((name) => platformsOf(main).find((one) => one.name === name));
    const pack = (wanted, file) => packRelease({ to: path.join(folder, 'wrong'), addonOf: (_, { name }) => (name === wanted.name ? file : undefined) });
    for (const [wanted, given, seen] of [
      [gnu, musl, 'linux, x64, musl, and not for linux, x64, glibc'],
      [musl, gnu, 'linux, x64, glibc, and not for linux, x64, musl'],
      [gnu, arm, 'linux, arm64, glibc, and not for linux, x64, glibc'],
      [mac, windows, 'win32, x64, and not for darwin, arm64'],
      [windows, mac, 'darwin, arm64, and not for win32, x64'],
    ]) assert.throws(() => pack(wanted, standIn(given)), ({ message }) => message.startsWith(`the addon for ${wanted.name}, `) && message.endsWith(`is for ${seen}: build it again`), wanted.name);
    const text = path.join(folder, 'text.node');
    for (const content of ['', 'no addon', Buffer.from('7f454c46', 'hex')]) {
      writeFileSync(text, content);
      assert.throws(() => pack(gnu, text), /text\.node, is no library of Linux, macOS or Windows/);
    }
  });

  test('an addon that needs a newer glibc than Node is packed for this machine, and not for a release', () => {
    const gnu = platformsOf(main).find(({ name }) => name === 'linux-x64-gnu');
    const needing = (version, text) => standIn({ ...gnu, version }, text);
    // Text of the program is not what it needs.
    for (const version of ['2.2.5', '2.17', '2.28']) assert.equal(tooNew(gnu, needing(version, 'GLIBC_2.99')), undefined, version);
    for (const version of ['2.29', '2.34', '2.100']) assert.equal(tooNew(gnu, needing(version)), `needs glibc ${version}, and Node no newer one than 2.28`);
    const pack = (all, wanted) => packRelease({ to: path.join(folder, 'glibc'), all, addonOf: (_, one) => (wanted.includes(one.name) ? standIn({ ...one, version: '2.34' }) : undefined) });
    assert.throws(() => pack(true, platformsOf(main).map(({ name }) => name)), /the addon for linux-arm64-gnu, .*, needs glibc 2\.34, .*; the addon for linux-x64-gnu, .*: build it again/);
    assert.equal(pack(false, [gnu.name]).length, 2);
  });

  test('what "files" names is what npm packs', () => {
    const archives = [path.join(folder, 'plain', `wsbroker-${main.version}.tgz`)];
    const { files } = JSON.parse(spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts', '--offline', archives[0]], { cwd: folder, encoding: 'utf8', shell: process.platform === 'win32' }).stdout)[0];
    const packed = files.map((file) => file.path).sort();
    assert.deepEqual(packed, filesOf(main).filter((file) => !file.endsWith('.node')).sort());
    assert.ok(packed.includes('crates/wsbroker/build.rs') && packed.includes('example/chat/server.mjs'));
  });

  test('a scope that npm would not take is refused', () => {
    for (const scope of ['acme', '@', '@Acme', '@acme/x']) assert.throws(() => packRelease({ to: path.join(folder, 'none'), scope }), /--scope must be a scope of npm such as @acme/);
  });
});

test('what an addon was built for is read from the file', () => {
  for (const one of platformsOf(main)) {
    const { os, cpu, libc } = one;
    assert.deepEqual(formatOf(standIn(one)), { os, cpu, libc }, one.name);
  }
  const built = platformsOf(main).find(({ name }) => name === target);
  assert.deepEqual(formatOf(path.join(root, 'lib', `wsbroker.${target}.node`)), { os: built.os, cpu: built.cpu, libc: built.libc });
});

test('of two addons for a platform the newer one is packed', () => {
  const [one] = platformsOf(main);
  const places = ['first', 'second'].map((name) => path.join(folder, 'built', name));
  assert.equal(addonOf(main, one, places), undefined);
  const addons = places.map((place) => path.join(place, `wsbroker.${one.name}.node`));
  for (const [at, place] of places.entries()) {
    mkdirSync(place, { recursive: true });
    writeFileSync(addons[at], '');
  }
  for (const newer of [0, 1]) {
    for (const [at, addon] of addons.entries()) utimesSync(addon, 1_000, at === newer ? 2_000 : 1_000);
    assert.equal(addonOf(main, one, places), addons[newer]);
  }
});

test('the loader that is in the sources is what package.json makes of it', () => {
  assert.equal(readFileSync(path.join(root, 'src/native/packages.cts'), 'utf8').replaceAll('\r\n', '\n'), loaderSource(main));
});

test('versions of the package and of the crates are the same', () => {
  assert.equal(/^\[workspace\.package\]\nversion = "(.*)"/m.exec(readFileSync(path.join(root, 'Cargo.toml'), 'utf8').replaceAll('\r\n', '\n'))?.[1], main.version);
});

test('links are changed in text, and not in code', () => {
  const text = '[a](docs/a.md#x) [`b`](bench) [c](https://c.example) [d](#d) [![e](e.svg)](bench)\n```js\n[f](bench)\n```\n';
  const packed = ['README.md', 'docs/a.md'];
  assert.equal(packedLinks(text, 'README.md', packed), '[a](docs/a.md#x) `b` [c](https://c.example) [d](#d) ![e](e.svg)\n```js\n[f](bench)\n```\n');
  assert.equal(
    packedLinks(text, 'README.md', packed, 'https://r.example/x'),
    '[a](https://r.example/x/docs/a.md#x) [`b`](https://r.example/x/bench) [c](https://c.example) [d](#d) [![e](e.svg)](https://r.example/x/bench)\n```js\n[f](bench)\n```\n',
  );
  assert.equal(packedLinks('[r](../README.md) [b](../bench/x)', 'docs/a.md', packed, 'https://r.example/x'), '[r](../README.md) [b](https://r.example/x/bench/x)');
});

/** A file that begins as an addon for this platform does, and ends with this text. */
function standIn({ name, os, cpu, libc, version = '2.17' }, text = '') {
  const bytes = Buffer.alloc(512);
  const write = (at, ...values) => values.forEach((value, n) => bytes.writeBigUInt64LE(BigInt(value), at + 8 * n));
  if (os === 'darwin') {
    bytes.writeUInt32LE(0xfeedfacf);
    bytes.writeUInt32LE(cpu === 'x64' ? 0x01000007 : 0x0100000c, 4);
  } else if (os === 'win32') {
    bytes.write('MZ');
    bytes.writeUInt32LE(128, 0x3c);
    bytes.write('PE\0\0', 128);
    bytes.writeUInt16LE(cpu === 'x64' ? 0x8664 : 0xaa64, 132);
  } else {
    bytes.write('7f454c46', 'hex');
    bytes.writeUInt16LE(cpu === 'x64' ? 0x3e : 0xb7, 18);
    write(32, 64);
    bytes.writeUInt16LE(56, 54);
    bytes.writeUInt16LE(2, 56);
    // Two segments: everything, at address 4096; and the list of libraries, at byte 256.
    write(64, 1, 0, 4096, 0, 512);
    write(120, 2, 256, 4096 + 256, 0, 64);
    // The names are at byte 400: a library, and of glibc a version.
    write(256, 5, 4096 + 400, 10, 112, 1, 1, 0, 0);
    bytes.write(libc === 'musl' ? '\0libc.so' : `\0libc.so.6\0GLIBC_${version}\0`, 400);
  }
  const file = path.join(folder, `stand-in-${name}.node`);
  writeFileSync(file, Buffer.concat([bytes, Buffer.from(text)]));
  return file;
}

function packedFiles(installed) {
  return filesBelow(path.relative(root, installed).replaceAll('\\', '/'), /./).map((file) => path.relative(installed, path.join(root, file)).replaceAll('\\', '/'));
}

/** The relative links of a page, without their anchors. */
function linksOf(installed, file) {
  const text = readFileSync(path.join(installed, file), 'utf8').replace(/^```[\s\S]*?^```/gm, '');
  return [...text.matchAll(/\]\(([^()\s]+)\)/g)].map(([, link]) => link).filter((link) => !/^(#|[a-z][a-z+.-]*:)/i.test(link)).map((link) => link.split('#')[0]);
}
