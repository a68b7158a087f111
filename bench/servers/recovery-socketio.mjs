// An instance of bench/recovery.mjs: Socket.IO with connection state recovery, over Redis Streams.
// Says its port.
import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-streams-adapter';
import { Redis } from 'ioredis';
import { Server } from 'socket.io';

const { PORT = '0', REDIS_URL } = process.env;
const redis = new Redis(REDIS_URL);
const http = createServer();
const io = new Server(http, {
  transports: ['websocket'],
  serveClient: false,
  adapter: createAdapter(redis),
  connectionStateRecovery: { maxDisconnectionDuration: 2 * 60_000 },
});

io.on('connection', (socket) => {
  // A socket that has recovered is in its rooms already.
  if (!socket.recovered && socket.handshake.query.rooms) void socket.join(socket.handshake.query.rooms.split(','));
  socket.on('publish', (channel, data, done) => {
    io.to(channel).emit('message', channel, data);
    done();
  });
});

process.on('disconnect', () => process.exit());
http.listen(Number(PORT), '127.0.0.1', () => process.send({ port: http.address().port }));
