// What one writes by hand: Bun.serve, and ioredis with a pattern over all rooms. What is published
// goes to Redis, and to sockets when it comes from there.
import Redis from 'ioredis';

const PUBLISH = 0x50;
const SUBSCRIBE = 0x53;
const LOCAL = 0x4c;

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch(request, server) {
    return server.upgrade(request) ? undefined : new Response('upgrade required', { status: 426 });
  },
  websocket: {
    perMessageDeflate: false,
    message(socket, data) {
      if (typeof data !== 'string') {
        return;
      }
      const kind = data.charCodeAt(0);
      const end = data.indexOf(':', 2);
      if (kind === SUBSCRIBE) {
        socket.subscribe(data.slice(2));
      } else if (kind === PUBLISH) {
        publisher.publish(`room:${data.slice(2, end)}`, data.slice(end + 1));
      } else if (kind === LOCAL) {
        server.publish(data.slice(2, end), data.slice(end + 1));
      }
    },
  },
});

const publisher = new Redis(process.env.BENCH_REDIS!);
const subscriber = new Redis(process.env.BENCH_REDIS!);
subscriber.on('pmessage', (_pattern: string, channel: string, payload: string) => {
  server.publish(channel.slice('room:'.length), payload);
});
await subscriber.psubscribe('room:*');

console.log(JSON.stringify({ port: server.port, pid: process.pid }));
