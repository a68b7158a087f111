// docs/server-helper.md: its programs can be read, and its table of close codes is whole.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';

const guide = readFileSync(new URL('../../docs/server-helper.md', import.meta.url), 'utf8');
const require = createRequire(import.meta.url);
const protocol = require('../../lib/helper/protocol.cjs');
const { CLOSE, ERROR_TEXT, LIMITS } = protocol;
const { settingsOf } = require('../../lib/helper/settings.cjs');
const { SERVER_HELPER_OPTIONS } = require('../../lib/helper/helper-options.cjs');
const { START_OPTIONS } = require('../../lib/options/start.cjs');

test('every program of the guide can be read', () => {
  const blocks = [...guide.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(([, text]) => text);
  assert.ok(blocks.length >= 6);
  // Without imports it can stand in an async function.
  for (const text of blocks) assert.doesNotThrow(() => new Function(`return async () => {\n${text.replace(/^import .*$/gm, '')}\n}`), text);
});

test('every close code with its reason, and every limit, is in the guide', () => {
  for (const [code, reason] of Object.values(CLOSE)) assert.ok(guide.includes(`${code} \`${reason}\``), `${code} ${reason}`);
  for (const text of [ERROR_TEXT.authFailed, ERROR_TEXT.authError, ERROR_TEXT.handshakeFailed, ERROR_TEXT.notAuthenticated]) assert.ok(guide.includes(`\`${text}\``), text);
  for (const option of ['maxAuthPayloadLength', 'maxUnauthenticatedMessages', 'maxRoomsPerClient']) assert.match(guide, new RegExp(`\\| \`${option}\` \\| ${LIMITS[option]} `));
  assert.ok(guide.includes(String(LIMITS.maxPendingTransforms / 2 ** 20) + ' MiB'));
});

test('every option is in the table of the guide, with its default, and every constant is named', () => {
  const [, section] = /^## Options and constants\n([\s\S]*?)^## /m.exec(guide);
  const defaults = settingsOf({});
  const own = SERVER_HELPER_OPTIONS.filter((name) => !START_OPTIONS.includes(name) || ['bind', 'path'].includes(name) || name in defaults);
  assert.ok(own.length > 20);
  for (const name of [...own.filter((name) => name !== 'serverOptions'), ...Object.keys(defaults.serverOptions).map((name) => `serverOptions.${name}`)]) {
    const row = section.split('\n').find((line) => line.startsWith('|') && line.split('|')[1].includes(`\`${name}\``));
    assert.ok(row, name);
    const value = name.startsWith('serverOptions.') ? defaults.serverOptions[name.slice('serverOptions.'.length)] : defaults[name];
    const shown = { undefined: /required|none/, number: `${value}`, string: `'${value}'`, boolean: `${value}`, object: JSON.stringify(value)?.replaceAll('"', "'").replaceAll(',', ', ') }[typeof value];
    if (typeof shown === 'string') assert.ok(row.split('|')[2].includes(shown), `${name}: ${shown} in ${row}`);
    else if (name !== 'logger') assert.match(row.split('|')[2], shown, name);
  }
  for (const name of ['WebSocketEvents', 'WebSocketMessageTypes', 'WebSocketClientStates', 'WebSocketChannels', 'WebSocketDefaults']) {
    const row = section.split('\n').find((line) => line.startsWith(`| \`${name}\``));
    for (const constant of Object.keys(protocol[name]).filter((key) => /^[A-Z_]+$/.test(key) && key !== 'SCHEME_SET')) assert.ok(row.includes(`\`${constant}\``), `${name}.${constant}`);
  }
});
