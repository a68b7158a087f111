// The npm package `ws` on Node: one process, one JavaScript thread.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { WebSocketServer } from 'ws';
import { deflate, shape, tls } from './work.mjs';

const COLON = 0x3a;
const PUBLISH = 0x50;
const SUBSCRIBE = 0x53;

/** Room name -> its members. */
const rooms = new Map();

// ws hands a text over as bytes; they are kept so, because that is the cheapest way to send them
// on.
const handleText = shape((data, socket) => {
  switch (data[0]) {
    case SUBSCRIBE: {
      const room = data.latin1Slice(2);
      let members = rooms.get(room);
      if (members === undefined) {
        rooms.set(room, (members = new Set()));
      }
      members.add(socket);
      break;
    }
    case PUBLISH: {
      const end = data.indexOf(COLON, 2);
      const payload = data.subarray(end + 1);
      for (const member of rooms.get(data.latin1Slice(2, end)) ?? []) {
        member.send(payload, { binary: false });
      }
      break;
    }
    default:
      socket.send(data, { binary: false });
  }
});

const handleBinary = shape((data, socket) => socket.send(data));

const http = tls ? createSecureServer({ cert: readFileSync(tls.cert), key: readFileSync(tls.key) }) : createServer();
const server = new WebSocketServer({ server: http, perMessageDeflate: deflate && { serverNoContextTakeover: true, clientNoContextTakeover: true } });

server.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => (isBinary ? handleBinary(data, socket) : handleText(data, socket)));
  socket.on('close', () => {
    for (const members of rooms.values()) {
      members.delete(socket);
    }
  });
  socket.on('error', (error) => console.error(error));
});

http.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port, pid: process.pid })));
