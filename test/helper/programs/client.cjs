// The least that a client of Redis and a socket can be.
const { EventEmitter } = require('node:events');

class Redis extends EventEmitter {
  status = 'ready';
  duplicate = () => new Redis();
  connect = async () => undefined;
  quit = async () => undefined;
  subscribe = async () => 1;
  psubscribe = async () => 1;
  publish = async () => 0;
}

exports.Redis = Redis;
exports.socket = (clientId) => ({ data: { clientId }, texts: [], remoteAddress: '', readyState: 1, send(text) { this.texts.push(text); return text.length; }, close() {}, subscribe() {}, unsubscribe() {}, isSubscribed: () => false, cork() {} });

/** A whole life; what it saw. */
exports.live = async ({ WebSocketServerHelper, WebSocketEmitter }, cache) => {
  for (const redisConnection of [new Redis(), { getClient: () => new Redis() }]) {
    const helper = new WebSocketServerHelper({ identifier: 'x', redisConnection, server: { pendingWebSockets: 0, publish: () => 0 }, authenticateFn: () => ({ userId: 'u' }) });
    await helper.configure();
    const socket = exports.socket('one');
    const handler = helper.getBunWebSocketHandler();
    handler.open(socket);
    handler.message(socket, '{"event":"authenticate"}');
    await new Promise(setImmediate);
    helper.send({ payload: { topic: 'x', data: 1 } });
    // One is left that never authenticates: its timer must not keep the process.
    handler.open(exports.socket('two'));
    const emitter = new WebSocketEmitter({ redisConnection });
    await emitter.configure();
    await emitter.broadcast({ event: 'x', data: 1 });
    exports.connected = socket.texts.some((text) => text.includes('"connected"'));
    await Promise.all([helper.shutdown(), emitter.shutdown()]);
  }
  const native = process.report?.getReport ? (process.report.getReport().sharedObjects ?? []).filter((file) => /wsbroker.*\.node$/.test(file)) : [];
  const loaded = Object.keys(cache).filter((file) => /native[\\/]load\.cjs$|\.node$|no-addon/.test(file));
  console.log(JSON.stringify({ loaded, native, connected: exports.connected }));
};
