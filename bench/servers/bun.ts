// Bun.serve: one process, one JavaScript thread.
import { deflate, shape, tls } from './work.mjs';

const PUBLISH = 0x50;
const SUBSCRIBE = 0x53;

type Socket = { send(data: string | Uint8Array, compress?: boolean): number; subscribe(room: string): void };

const handleText = shape((text: string, socket: Socket) => {
  switch (text.charCodeAt(0)) {
    case SUBSCRIBE:
      socket.subscribe(text.slice(2));
      break;
    case PUBLISH: {
      const end = text.indexOf(':', 2);
      server.publish(text.slice(2, end), text.slice(end + 1), deflate);
      break;
    }
    default:
      socket.send(text, deflate);
  }
});

const handleBinary = shape((bytes: Uint8Array, socket: Socket) => {
  socket.send(bytes, deflate);
});

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  ...(tls && { tls: { cert: Bun.file(tls.cert), key: Bun.file(tls.key) } }),
  fetch(request, server) {
    return server.upgrade(request) ? undefined : new Response('upgrade required', { status: 426 });
  },
  websocket: {
    perMessageDeflate: deflate,
    message(socket, data) {
      return typeof data === 'string' ? handleText(data, socket) : handleBinary(data, socket);
    },
  },
});

console.log(JSON.stringify({ port: server.port, pid: process.pid }));
