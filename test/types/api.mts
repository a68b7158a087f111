// What the types promise, and what they must refuse.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { SHARE_ENV } from 'node:worker_threads';
import { shutdown, start, WSBrokerError } from 'wsbroker';
import * as wsbroker from 'wsbroker';
import type { Data, SendResult, Server, ShutdownReport, StartOptions, WorkerEvent, WorkerInterface, WSBrokerErrorCode } from 'wsbroker';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Same<A, B>): void => undefined;

same<Data, string | ArrayBuffer | Uint8Array>(true);
same<ReturnType<typeof wsbroker.send>, SendResult>(true);
same<SendResult, 1 | 0 | -1>(true);
same<ReturnType<typeof wsbroker.subscribe>, boolean>(true);
same<ReturnType<typeof wsbroker.sendToChannel>, number>(true);
same<ReturnType<typeof wsbroker.getToken>, Buffer | undefined>(true);
same<ReturnType<typeof wsbroker.getSubscriptions>, (string | Buffer)[]>(true);
same<Awaited<ReturnType<typeof start>>, Server>(true);
same<Awaited<ReturnType<typeof shutdown>>, ShutdownReport>(true);

// Histories: a position is what recover takes, and what JSON gives back.
same<Awaited<ReturnType<typeof wsbroker.position>>, wsbroker.Position>(true);
same<wsbroker.Position, { readonly offset: number; readonly epoch: string }>(true);
same<Awaited<ReturnType<typeof wsbroker.publish>>['duplicate'], true | undefined>(true);
same<wsbroker.HistoryMessage['data'], string | Buffer>(true);
{
  const { recovered, position, replayed } = await wsbroker.recover(1, 'a', JSON.parse('{}') as wsbroker.Since, { orReject: undefined });
  console.log(recovered === true, replayed.toFixed(), position.epoch.length);
  const { messages, complete } = await wsbroker.history('a', { since: position, limit: undefined, reverse: true });
  console.log(complete === true, messages[0]?.offset.toFixed());
  const { offset } = await wsbroker.publish('a', new Uint8Array(1), { id: 'x', exclude: [1], compress: false });
  await wsbroker.deleteHistory('a', { before: offset });
}
// @ts-expect-error not a place
await wsbroker.recover(1, 'a', 'later');
// @ts-expect-error an offset alone is no position
await wsbroker.recover(1, 'a', { offset: 1 });
await start({ bind: 'a:1', maxHistoryMemory: 1, history: [{ channels: ['chat:*'] as const, size: 1, ttl: 1, maxBytes: undefined, maxReplay: 1, framed: false }] });

// Values that may be absent need no ceremony, under exactOptionalPropertyTypes too.
const options: StartOptions = {
  bind: '127.0.0.1:0',
  workerPath: process.env['WORKER'],
  threads: undefined,
  path: ['/a', '/b'] as const,
  protocols: ['v1'],
  maxInFlight: { bytes: 1024 },
  overflow: 'dropOldest',
  maxConnections: undefined,
  rateLimit: { messages: 100, burst: undefined, action: 'close' },
  origins: ['https://app.example'] as const,
  trustProxy: { from: ['10.0.0.0/8', 'unix'] as const, header: 'forwarded' },
  perMessageDeflate: { threshold: 512, level: undefined },
  signal: AbortSignal.timeout(1000),
  worker: { workerData: { a: new Map() }, env: SHARE_ENV, execArgv: ['--no-warnings'] as const, resourceLimits: { maxOldGenerationSizeMb: 64, stackSizeMb: undefined }, name: undefined },
  onWorker: ({ type, workerId, reason, untoldClients }: WorkerEvent) => console.log(type, workerId.toFixed(), reason?.message, untoldClients?.toFixed()),
};
const server = await start(options);
same<typeof server.port, number>(true);
same<ReturnType<typeof server.reloadTls>, Promise<void>>(true);
same<ReturnType<typeof server.unref>, Server>(true);
await server.unref().ref().reloadTls();
{
  await using disposed = await start(options);
  disposed.unref();
}
await start({ bind: 'a:1', tls: { cert: [Buffer.from(''), './cert.pem'] as const, key: [new URL('file:///key'), 'pem'], ca: undefined, minVersion: 'TLSv1.3' } });
// @ts-expect-error a certificate without a key
await server.reloadTls({ cert: './cert.pem' });
await start({ bind: 'unix:/tmp/socket', workerPath: new URL('./worker.js', import.meta.url) });

try {
  await server.close();
} catch (error) {
  if (!(error instanceof WSBrokerError)) throw error;
  same<typeof error.code, WSBrokerErrorCode>(true);
}

// @ts-expect-error without an address
await start({ workerPath: './worker.js' });
// @ts-expect-error a number that is text
await start({ bind: 'a:1', threads: '4' });
// @ts-expect-error an option that does not exist
await start({ bind: 'a:1', maxPayLoad: 1 });
// @ts-expect-error a policy that does not exist
await start({ bind: 'a:1', overflow: 'drop' });
await start({ bind: 'a:1', worker: { env: { ...process.env, MINE: 'x' } } });
await start({ bind: 'a:1', path: [], answers: { '/healthz': 'health', '/r': { status: 200, headers: new Map([['a', 'b']]), body: undefined } } });
await start({ bind: 'a:1', http: createServer(), forwardUpgrades: ['/hmr'] as const, keepAliveTimeout: undefined });
await start({ bind: 'a:1', http: (request: IncomingMessage, response: ServerResponse) => response.end(request.url) });
await start({ bind: 'a:1', http: (request, response) => response.end(request.url) });
await start({ bind: 'a:1', http: { forward: new URL('http://127.0.0.1:3001') } });
// @ts-expect-error there is no such answer
await start({ bind: 'a:1', answers: { '/metrics': 'metric' } });
// @ts-expect-error an address belongs into { forward }
await start({ bind: 'a:1', http: 'http://127.0.0.1:3001' });
wsbroker.setReady(wsbroker.stats().http.failed.unreachable < 5);
// @ts-expect-error what a thread is given, not the module
await start({ bind: 'a:1', worker: './worker.js' });
// @ts-expect-error proxies are named
await start({ bind: 'a:1', trustProxy: true });
// @ts-expect-error a header that is not looked at
await start({ bind: 'a:1', trustProxy: { from: '::1', header: 'x-real-ip' } });
wsbroker.send(1, 'x', { compress: undefined });
wsbroker.sendToChannel('a', 'x', { compress: true, exclude: [1] });
// @ts-expect-error there is one receiver only
wsbroker.send(1, 'x', { exclude: 1 });
// @ts-expect-error no data
wsbroker.send(1, { text: 'x' });
// @ts-expect-error an id is a number
wsbroker.subscribe('1', 'room');
// @ts-expect-error a verdict is no string
({ handleOpen: () => 'yes' }) satisfies WorkerInterface;
// @ts-expect-error null fails closed, so it is a mistake
({ handleOpen: async () => null }) satisfies WorkerInterface;
// @ts-expect-error a handler that does not exist
({ handleTextMesage: () => undefined }) satisfies WorkerInterface;
