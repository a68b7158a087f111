// docs/server-helper.md: its programs can be read, and its table of close codes is whole.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';

const guide = readFileSync(new URL('../../docs/server-helper.md', import.meta.url), 'utf8');
const { CLOSE, ERROR_TEXT, LIMITS } = createRequire(import.meta.url)('../../lib/helper/protocol.cjs');

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
