// What somebody can get wrong who begins, or has begun long ago: the error says what is wrong, what was expected, and what to do.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { failure, launch, until } from './harness.mjs';

/** What comes to stderr about a file, once its process has said something that comes later. */
async function warnings(server, name) {
  await server.main((wsb, kit, mark) => process.stderr.write(`${mark}\n`), 'that was all');
  await until(() => server.stderr.includes('that was all'), 'the end of stderr');
  return server.stderr.split('\n').filter((line) => line.includes('WSBrokerWarning') && line.includes(name));
}

for (const [what, file, text, message] of [
  ['a misspelt handler', 'typo.mjs', 'export const handelOpen = () => false;\nexport const handleTextMessage = () => {};\n', '"handelOpen" is not a handler; did you mean "handleOpen"?'],
  ['handlers as another library calls them', 'foreign.cjs', 'module.exports = { open() {} };\n', 'there is no handler, but "open" (in wsbroker: "handleOpen")'],
  ['a class instead of an instance', 'class.mjs', 'export default class Chat {\n  handleOpen() {}\n}\n', 'export an instance, as in "export default new Chat()"'],
  ['an instance with a misspelt method', 'instance.mjs', 'class Chat {\n  handelOpen() {}\n}\nexport default new Chat();\n', '"handelOpen" is not a handler'],
]) {
  test(`a worker module with ${what} is refused`, async (t) => {
    const server = await launch(t, { start: false });
    const workerPath = server.file(file, text);
    const error = await failure(server.start({ workerPath, threads: 2 }), { code: 'ERR_WSBROKER_WORKER_FAILED' });
    assert.equal(error.remoteCause.code, 'ERR_WSBROKER_UNKNOWN_HANDLER');
    assert.ok(error.message.includes(workerPath) && error.message.includes(message), error.message);
    await server.start();
    await server.connect();
  });
}

test('a worker module without any handler, and one with a name of another library, are warned of once', async (t) => {
  const server = await launch(t, { start: false });
  await server.start({ workerPath: server.file('nothing.mjs', 'export const value = 1;\n'), threads: 3 });
  assert.equal((await warnings(server, 'nothing.mjs has no handlers: everybody is let in')).length, 1, server.stderr);
  await server.main((wsb) => wsb.shutdown());
  await server.start({ workerPath: server.file('beside.mjs', 'export const handleOpen = () => {};\nexport const message = () => {};\n'), threads: 3 });
  assert.equal((await warnings(server, 'beside.mjs: not a handler, and never called: "message"')).length, 1, server.stderr);
});
