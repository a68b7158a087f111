// Socket.IO on Node, with its sharded Redis adapter and the client that the adapter is documented
// with.
import { createServer } from 'node:http';
import { createShardedAdapter } from '@socket.io/redis-adapter';
import { createClient } from 'redis';
import { Server } from 'socket.io';

const publisher = createClient({ url: process.env.BENCH_REDIS });
const subscriber = publisher.duplicate();
for (const client of [publisher, subscriber]) {
  client.on('error', (error) => console.error(error));
}
await Promise.all([publisher.connect(), subscriber.connect()]);

const http = createServer();
const io = new Server(http, { transports: ['websocket'], serveClient: false, adapter: createShardedAdapter(publisher, subscriber) });

io.on('connection', (socket) => {
  socket.on('S', (room) => socket.join(room));
  socket.on('P', (room, payload) => io.to(room).emit('m', payload));
  socket.on('L', (room, payload) => io.local.to(room).emit('m', payload));
});

http.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: http.address().port, pid: process.pid })));
