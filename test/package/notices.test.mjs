// The licenses of the code of others that is in the addon, and what must not be in it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

import { billOfMaterials, linkedCrates, notices } from '../../scripts/notices.mjs';
import { root } from '../../scripts/packages.mjs';

const skip = spawnSync('cargo', ['--version']).status !== 0 && 'no cargo';

test('THIRD-PARTY.txt is current: npm run notices', { skip }, () => {
  assert.ok(readFileSync(path.join(root, 'THIRD-PARTY.txt'), 'utf8').replaceAll('\r\n', '\n') === notices(), 'run npm run notices, and commit THIRD-PARTY.txt');
});

test('every crate in the addon has its license there, those of the other platforms included', { skip }, () => {
  const text = readFileSync(path.join(root, 'THIRD-PARTY.txt'), 'utf8');
  const crates = linkedCrates();
  for (const name of ['ring', 'rustls', 'tokio', 'windows-sys', 'core-foundation']) assert.ok(crates.some((one) => one.name === name), name);
  for (const { name, version } of crates) assert.ok(text.split(`${name} ${version}`).length > 2, `${name} ${version} is in the list, and above a license`);
  for (const words of ['Redistribution and use in source and binary forms', 'Permission is hereby granted, free of charge', 'Apache License']) assert.ok(text.includes(words), words);
});

test('the bill of materials names the same crates', { skip }, () => {
  const { components, bomFormat } = billOfMaterials();
  assert.equal(bomFormat, 'CycloneDX');
  assert.deepEqual(components.map(({ name, version }) => `${name} ${version}`), linkedCrates().map(({ name, version }) => `${name} ${version}`));
  assert.deepEqual(components.filter(({ purl, licenses }) => !purl || !licenses?.[0]?.expression), []);
});

const { platformTarget } = createRequire(import.meta.url)('../../lib/native/target.cjs');
const addon = path.join(root, 'lib', `wsbroker.${platformTarget()}.node`);
const bytes = existsSync(addon) ? readFileSync(addon) : undefined;
/** Only what is built with paths has sections for debuggers. */
const isRelease = bytes !== undefined && !bytes.includes('.debug_info');

test('a release has no path of the machine that it was built on', { skip: !isRelease && 'the addon in lib/ is no release: npm run build' }, () => {
  const text = bytes.toString('latin1');
  for (const place of [root, homedir(), process.env.CARGO_HOME].filter(Boolean)) {
    assert.ok(!text.includes(`${place}/`), `${place} is in ${/[ -~]*/.exec(text.slice(text.indexOf(`${place}/`)))[0].slice(0, 120)}`);
  }
  assert.ok(text.includes('/crates/') && text.includes('crates/wsbroker'), 'paths are shortened, not lost');
});
