'use strict';
// Handlers by a wrong name: in silence they would never be called, and with a misspelled handleOpen everybody would be let in.
const assert = require('node:assert/strict');
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { after, afterEach, test } = require('node:test');
const { fake, lib, wsbroker } = require('./setup.cjs');

const { WSBrokerError, registerWorkerThread, shutdown, start } = wsbroker;
const bind = '127.0.0.1:0';
const folder = mkdtempSync(join(tmpdir(), 'wsbroker-'));
const fn = () => undefined;
let files = 0;

afterEach(() => shutdown({ timeout: 5000 }));
after(() => rmSync(folder, { recursive: true }));

/** Starts with a module of that text, in one worker, and returns the error and the warnings that were given. */
async function load(t, text, extension, threads = 1) {
  const said = [];
  t.mock.method(process, 'emitWarning', (message) => said.push(message));
  const workerPath = join(folder, `worker-${++files}.${extension}`);
  writeFileSync(workerPath, text);
  const error = await start({ bind, workerPath, threads }).then(() => undefined, (reason) => reason);
  await shutdown();
  t.mock.restoreAll();
  return { error, said: said.filter((line) => line.includes(workerPath)), workerPath };
}

for (const [wrong, right] of [
  ['handelOpen', 'handleOpen'], ['hanldeOpen', 'handleOpen'], ['handlOpen', 'handleOpen'], ['handleopen', 'handleOpen'], ['HandleOpen', 'handleOpen'], ['handle_open', 'handleOpen'],
  ['handleOpne', 'handleOpen'], ['handelOpne', 'handleOpen'], ['handleTextMesage', 'handleTextMessage'], ['handleTextMasage', 'handleTextMessage'], ['handle_text_message', 'handleTextMessage'],
  ['handleTextMessages', 'handleTextMessage'], ['handleBinaryMessgae', 'handleBinaryMessage'], ['handleBinraryMesage', 'handleBinaryMessage'], ['handleClsoe', 'handleClose'], ['handleClosed', 'handleClose'],
  ['handelDrain', 'handleDrain'], ['handleSart', 'handleStart'], ['handleStpo', 'handleStop'], ['onerror', 'onError'], ['onErorr', 'onError'],
]) {
  test(`${wrong}_is_refused_unless_${right}_is_there`, () => {
    const message = `registerWorkerThread: "${wrong}" is not a handler; did you mean "${right}"?`;
    for (const beside of [{}, { handleOpen2: fn, handleDrain2: fn }, right === 'handleClose' ? { handleOpen: fn } : { handleClose: fn }]) {
      assert.throws(() => registerWorkerThread({ ...beside, [wrong]: fn }), (error) => {
        assert.deepEqual([error instanceof WSBrokerError, error.code], [true, 'ERR_WSBROKER_UNKNOWN_HANDLER']);
        assert.ok(error.message.startsWith(message), error.message);
        return true;
      });
    }
    assert.equal(fake.worker(), undefined, 'nothing was registered');
    registerWorkerThread({ [wrong]: fn, [right]: fn });
  });
}

test('names_that_are_like_no_handler_are_nobodys_business', (t) => {
  const warnings = t.mock.method(process, 'emitWarning');
  const others = [
    'handleStep', 'handleShop', 'handleToken', 'handleState', 'handleStats', 'handleStat', 'handleSort', 'handleClone', 'handleTrain', 'handleTop', 'handleNextMessage', 'handleClick',
    'handleJoin', 'handleUpdate', 'handle', 'handler', 'handlers', 'noError', 'anError', 'isError', 'Error', 'onReady', 'connect', 'openDoor', 'start', 'stop', 'send', 'Message', 'Open',
    'handleOpenDoor', 'handleRestart', 'default', 'constructor', 'toString', 'hasOwnProperty', '__proto__x', 'x'.repeat(100_000),
  ];
  registerWorkerThread({ ...Object.fromEntries(others.map((name) => [name, fn])), handelOpen: 'no function', onMessage: 5 });
  assert.deepEqual(warnings.mock.calls, []);
});

test('methods_of_an_instance_are_looked_at_too', () => {
  class Base {
    handelOpen() {}
  }
  class Chat extends Base {
    handleTextMessage() {}
  }
  assert.throws(() => registerWorkerThread(new Chat()), { code: 'ERR_WSBROKER_UNKNOWN_HANDLER', message: /"handelOpen" is not a handler; did you mean "handleOpen"\?/ });
});

test('what_other_libraries_call_them_is_refused_where_there_is_no_handler', () => {
  for (const [name, right] of [
    ['handleMessage', '"handleTextMessage" and "handleBinaryMessage"'], ['onMessage', '"handleTextMessage" and "handleBinaryMessage"'], ['onmessage', '"handleTextMessage" and "handleBinaryMessage"'],
    ['message', '"handleTextMessage" and "handleBinaryMessage"'], ['onOpen', '"handleOpen"'], ['open', '"handleOpen"'], ['onConnection', '"handleOpen"'], ['close', '"handleClose"'], ['onClose', '"handleClose"'],
    ['drain', '"handleDrain"'],
  ]) {
    assert.throws(() => registerWorkerThread({ [name]: fn }), {
      code: 'ERR_WSBROKER_UNKNOWN_HANDLER', message: `registerWorkerThread: there are no handlers, only "${name}" (wsbroker calls it ${right})`,
    });
  }
  assert.throws(() => registerWorkerThread({ open: fn, message: fn, close: fn }), {
    message: 'registerWorkerThread: there are no handlers, only "open" (wsbroker calls it "handleOpen"), "message" (wsbroker calls it "handleTextMessage" and "handleBinaryMessage"), "close" (wsbroker calls it "handleClose")',
  });
});

test('beside_a_handler_they_are_warned_of_once', async (t) => {
  const warnings = t.mock.method(process, 'emitWarning', () => undefined);
  for (let i = 0; i < 3; i++) {
    registerWorkerThread({ handleOpen: fn, message: fn });
    await shutdown();
  }
  registerWorkerThread({ handleOpen: fn, handleTextMessage: fn, open: fn, message: fn });
  assert.deepEqual(warnings.mock.calls.map(({ arguments: [text] }) => text), [
    'registerWorkerThread: these are not handlers and are never called: "message" (wsbroker calls it "handleTextMessage" and "handleBinaryMessage")',
  ]);
});

test('a_module_that_passes_on_what_wsbroker_exports_is_not_meant', (t) => {
  const warnings = t.mock.method(process, 'emitWarning');
  registerWorkerThread({ ...wsbroker, handleOpen: fn });
  assert.deepEqual(warnings.mock.calls, []);
});

test('a_class_instead_of_an_instance_is_refused', () => {
  for (const given of [class Chat { handleOpen() {} }, class Chat { handleOpen = fn; }, class Chat { static handleOpen() {} handleTextMessage() {} }]) {
    assert.throws(() => registerWorkerThread(given), {
      name: 'TypeError', code: 'ERR_WSBROKER_INVALID_ARG_TYPE',
      message: 'registerWorkerThread: "handlers" must be an object, got a class: pass an instance, as in "registerWorkerThread(new Chat())"',
    });
  }
  registerWorkerThread(class { static handleOpen() {} });
});

for (const [what, extension, text, message] of [
  ['a misspelled export', 'cjs', 'exports.handelOpen = () => {};', '"handelOpen" is not a handler; did you mean "handleOpen"?'],
  ['a misspelled export beside a handler', 'mjs', 'export const handelOpen = () => false; export const handleTextMessage = () => {};', '"handelOpen" is not a handler; did you mean "handleOpen"?'],
  ['a misspelled handler of the default export', 'mjs', 'export default { handleTextMesage() {} };', '"handleTextMesage" is not a handler; did you mean "handleTextMessage"?'],
  ['a misspelled name beside a default', 'mjs', 'export const handelOpen = () => false; export default { handleTextMessage() {} };', '"handelOpen" is not a handler'],
  ['a misspelled handler of a compiled default export', 'cjs', 'exports.__esModule = true; exports.default = { handelOpen() {} };', '"handelOpen" is not a handler'],
  ['a misspelled method of an instance', 'mjs', 'class Chat { handelOpen() {} }\nexport default new Chat();', '"handelOpen" is not a handler'],
  ['what other libraries call them', 'mjs', 'export const open = () => {}; export const message = () => {};', 'there are no handlers, only "message" (wsbroker calls it "handleTextMessage" and "handleBinaryMessage"), "open" (wsbroker calls it "handleOpen")'],
  ['what other libraries call them, on the default', 'cjs', 'module.exports = { onMessage() {} };', 'there are no handlers, only "onMessage"'],
  ['a class', 'mjs', 'export default class Chat { handleOpen() {} }', 'the default export is a class, but handlers are called on an object: export an instance, as in "export default new Chat()"'],
  ['a class with fields', 'mjs', 'export default class { handleOpen = () => {}; }', 'export an instance, as in "export default new Handlers()"'],
  ['a class in CommonJS', 'cjs', 'module.exports = class Chat { handleOpen() {} };', 'as in "export default new Chat()"'],
  ['a class as older compilers write it', 'cjs', 'exports.__esModule = true; function Chat() {} Chat.prototype.handleOpen = () => {}; exports.default = Chat;', 'as in "export default new Chat()"'],
  ['a class that has what the module lacks', 'mjs', 'export const handleTextMessage = () => {};\nexport default class Chat { handleOpen() {} }', 'the default export is a class'],
]) {
  for (const threads of [0, 1]) {
    test(`a_module_with ${what}, threads: ${threads}`, async (t) => {
      const { error, workerPath } = await load(t, text, extension, threads);
      assert.equal(error?.code, 'ERR_WSBROKER_WORKER_FAILED');
      assert.equal(error.cause.code, 'ERR_WSBROKER_UNKNOWN_HANDLER');
      assert.ok(error.cause.message.startsWith(`${workerPath}: `) && error.message.includes(message), error.message);
    });
  }
}

for (const [what, extension, text] of [
  ['a class beside handlers', 'mjs', 'export const handleOpen = () => {};\nexport default class Room { join() {} }'],
  ['a class with static handlers', 'cjs', 'module.exports = class { static handleOpen() {} };'],
  ['other functions', 'mjs', 'export const handleOpen = () => {}; export const handleToken = () => {}; export class Message {}'],
  ['names and a default', 'mjs', 'export const handleOpen = () => {};\nexport default { handleTextMessage() {} };'],
]) {
  test(`a_module_with ${what} is loaded without a word`, async (t) => {
    const { error, said } = await load(t, text, extension);
    assert.deepEqual([error, said], [undefined, []]);
  });
}

test('a_module_without_any_handler_is_warned_of_once_and_not_by_each_of_its_threads', async (t) => {
  for (const [text, extension] of [['', 'mjs'], ['exports.other = () => {};', 'cjs'], ['module.exports = function app() {};', 'cjs']]) {
    const { error, said, workerPath } = await load(t, text, extension, 3);
    assert.equal(error, undefined);
    assert.equal(said.length, 1, said.join('\n'));
    assert.ok(said[0].startsWith(`${workerPath} has no handlers: every connection is accepted, and messages are discarded.`), said[0]);
  }
});

test('a_module_that_registers_its_handlers_may_export_what_it_likes', async (t) => {
  const { error, said } = await load(t, `require(${JSON.stringify(join(lib, 'index.cjs'))}).registerWorkerThread({ handleOpen() {} });\nexports.open = () => {};`, 'cjs', 2);
  assert.deepEqual([error, said], [undefined, []]);
});
