// The `ws` package. `ws.mjs URL` prints what happened as JSON.
import { once } from 'node:events';
import WebSocket from 'ws';

const url = process.argv[2];
const open = async (path, protocols = []) => {
  const socket = new WebSocket(url + path, protocols, { perMessageDeflate: { threshold: 0 } });
  socket.closed = once(socket, 'close').then(([code, reason]) => ({ code, reason: reason.toString(), wasClean: code !== 1006 }));
  await once(socket, 'open');
  return socket;
};
const answer = async (socket, data) => {
  const came = once(socket, 'message');
  socket.send(data);
  const [echo, isBinary] = await came;
  return isBinary ? echo : echo.toString();
};
const bytes = (length) => Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 255));

const socket = await open('/', ['strange', 'known']);
const text = 'grüß dich 👋 ';
const result = {
  protocol: socket.protocol,
  extensions: socket.extensions,
  text: (await answer(socket, text)) === text,
  binary: bytes(256).equals(await answer(socket, bytes(256))),
  empty: (await answer(socket, '')) === '',
  compressible: (await answer(socket, text.repeat(10_000))) === text.repeat(10_000),
  large: bytes(3 << 20).equals(await answer(socket, bytes(3 << 20))),
};
const pong = once(socket, 'pong');
socket.ping('are you there?');
result.pong = (await pong)[0].toString();
socket.close(4001, 'bye');
result.closedByUs = await socket.closed;

const other = await open('/');
other.send('close 4002 go away');
result.closedByServer = await other.closed;

const silent = await open('/silent');
result.alive = (await Promise.race([silent.closed.then(() => false), new Promise((resolve) => setTimeout(resolve, 1500, true))])) && (await answer(silent, 'still here')) === 'still here';
silent.close();
result.closedWithoutCode = (await silent.closed).code;
console.log(JSON.stringify(result));
