// The client that browsers have, and Node (undici) and Bun, too. As a program: `web.mjs URL` prints what happened as JSON; in a
// browser the test calls `visit` itself, so it may use nothing from outside of it.
export async function visit(url) {
  const open = async (path, ...protocols) => {
    const socket = new WebSocket(url + path, ...protocols);
    socket.binaryType = 'arraybuffer';
    socket.closed = new Promise((resolve) => socket.addEventListener('close', ({ code, reason, wasClean }) => resolve({ code, reason, wasClean })));
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', () => reject(new Error(`no connection to ${url}${path}`)));
    });
    return socket;
  };
  const answer = (socket, data) =>
    new Promise((resolve, reject) => {
      socket.addEventListener('message', (event) => resolve(event.data), { once: true });
      void socket.closed.then((end) => reject(new Error(`closed with ${JSON.stringify(end)}`)));
      if (data !== undefined) socket.send(data);
    });
  const bytes = (length) => Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 255);
  const same = (a, b) => a.byteLength === b.length && new Uint8Array(a).every((byte, i) => byte === b[i]);

  const socket = await open('/', ['strange', 'known']);
  const text = 'grüß dich 👋 ';
  const result = {
    protocol: socket.protocol,
    extensions: socket.extensions,
    text: (await answer(socket, text)) === text,
    binary: same(await answer(socket, bytes(256)), bytes(256)),
    empty: (await answer(socket, '')) === '',
    compressible: (await answer(socket, text.repeat(10_000))) === text.repeat(10_000),
    large: same(await answer(socket, bytes(3 << 20)), bytes(3 << 20)),
  };
  socket.close(4001, 'bye');
  result.closedByUs = await socket.closed;

  const other = await open('/');
  other.send('close 4002 go away');
  result.closedByServer = await other.closed;

  // The server pings silent clients, and cuts those that do not answer.
  const silent = await open('/silent');
  result.alive = (await Promise.race([silent.closed.then(() => false), new Promise((resolve) => setTimeout(resolve, 1500, true))])) && (await answer(silent, 'still here')) === 'still here';
  silent.close();
  result.closedWithoutCode = (await silent.closed).code;
  return result;
}

if (globalThis.process?.argv[2]?.startsWith('ws')) console.log(JSON.stringify(await visit(process.argv[2])));
