// A server on Bun as an application writes it: `Bun.serve` with the handler of the helper. Tells its port on stdout; POST /do calls a function in it.
import { EventEmitter } from 'node:events';

import { WebSocketServerHelper } from '../../../lib/server-helper.mjs';

class NoRedis extends EventEmitter {
  status = 'ready';
  duplicate = () => new NoRedis();
  connect = async () => undefined;
  quit = async () => undefined;
  subscribe = async () => 1;
  psubscribe = async () => 1;
  publish = async () => 0;
}

const { redis, options = {}, functions = {} } = JSON.parse(process.argv[2]);
const redisConnection = redis === undefined ? new NoRedis() : new (await import('ioredis')).Redis(redis, '127.0.0.1', { lazyConnect: true, retryStrategy: () => 50 });
const log = [];
const logger = { for: () => logger, debug() {}, info() {}, warn: (text) => log.push(text), error: (text) => log.push(text) };
const told = { connected: 0, disconnected: 0, handled: [] };
const app = { told, log, failed: [] };
for (const event of ['unhandledRejection', 'uncaughtException']) process.on(event, (error) => app.failed.push(String(error)));

async function answer(request, server) {
  const { pathname } = new URL(request.url);
  if (pathname === app.helper.getPath()) {
    const clientId = request.headers.get('x-id') ?? crypto.randomUUID();
    return server.upgrade(request, { data: { clientId } }) ? undefined : new Response('no upgrade', { status: 426 });
  }
  const { source, args } = await request.json();
  const value = await new Function(`return (${source})`)()(app, ...args);
  return Response.json({ value });
}

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch: answer,
  websocket: { open() {}, message() {} },
});
app.server = server;
app.helper = new WebSocketServerHelper({
  identifier: 'bun', redisConnection, server, logger,
  authenticateFn: ({ user, refuse }) => (refuse ? null : { userId: user }),
  clientConnectedFn: () => void told.connected++,
  clientDisconnectedFn: () => void told.disconnected++,
  messageHandler: ({ message }) => void told.handled.push(message),
  ...options,
  ...Object.fromEntries(Object.entries(functions).map(([name, source]) => [name, new Function(`return (${source})`)()])),
});
server.reload({ fetch: answer, websocket: app.helper.getBunWebSocketHandler() });
await app.helper.configure();
console.log(server.port);
