// `wsbroker/channels`, `wsbroker/crossws`, `wsbroker/nest` and `wsbroker/testing`, as programs use them.
import type { Hooks, Peer } from 'crossws';
import { start, type WorkerInterface } from 'wsbroker';
import { type ChannelGrant, RequestError, revoke, sendMessage, serveChannels, subprotocol } from 'wsbroker/channels';
import { crosswsWorker, topicChannel } from 'wsbroker/crossws';
import { NestAdapter, type NestClient } from 'wsbroker/nest';
import { testServer, type TestServer } from 'wsbroker/testing';

const hooks: Partial<Hooks> = {
  upgrade: (request) => ({ context: { path: request.url } }),
  message: (peer, message) => void peer.send(message.text()),
};
const worker = crosswsWorker({ hooks, onError: (error, { socketId }) => console.error(error, socketId) });
const handlers: WorkerInterface = worker;
const peers: ReadonlySet<Peer> | undefined = worker.peers.get('/');
worker.publish(topicChannel('a'), { b: 1 }, { namespace: '/', compress: false });
// @ts-expect-error: it is an option of start
crosswsWorker({ hooks, idleTimeout: 30 });

const channels: WorkerInterface = serveChannels({
  async authorize(id: number, channel: string, { token, action, since }) {
    if (token === undefined || action === 'publish') return false;
    const grant: ChannelGrant = { since: since === 'latest' ? 'now' : { offset: 1, epoch: channel }, maxReplay: 1, sender: `${id}` };
    return grant;
  },
  handleRequest(id, data, { token }) {
    if (data === null) throw new RequestError('no', { cause: token });
    return sendMessage(id, data);
  },
  handlePublish: (id, channel, data, { id: messageId }) => typeof data === 'string' && `${messageId}${data.length}${channel}`,
  onError: (error, { handler, socketId }) => void [error, handler === 'authorize', socketId],
  handleClose: (id) => void revoke(id, subprotocol),
  replayRate: { socket: 1 },
});
// @ts-expect-error: nothing may be done without it
serveChannels({ handleRequest: () => 1 });
// @ts-expect-error: the newest message is no place to begin
serveChannels({ authorize: () => ({ since: 'latest' }) });

const adapter = new NestAdapter({ handleOpen: (id, ip, headers) => headers['cookie'] !== undefined });
const nest: WorkerInterface = adapter.handlers;
const join = (client: NestClient): number => client.to('room').emit('joined', client.id);
// @ts-expect-error: Nest's own options are in the decorator
new NestAdapter({ path: '/' });

const server: TestServer = await testServer(handlers, { path: '/ws', timeout: 100 });
const client = await server.connect('/ws', { protocols: ['a'], headers: { cookie: 'a=1' } });
const text: string | Buffer = await client.next();
const { status }: { status: number } = await server.refusal('/');
// @ts-expect-error: the module is the first argument
await testServer(handlers, { workerPath: './worker.mjs' });
void [start, channels, peers, nest, join, text, status];
