// The chat server: the page and the WebSockets on one port. Requests for the page come to this
// thread; what happens on a socket never waits for it, because wsbroker has I/O threads and worker
// threads of its own.
//
//   node example/chat/server.mjs        or        bun example/chat/server.mjs
//
//   HOST            address to listen on, default 127.0.0.1: only your machine. 0.0.0.0 lets your
//                   network in.
//   PORT            port of the page and of the WebSockets, default 8080
//   THREADS         worker threads, default 2: enough to show that nothing depends on being in the
//                   same thread
//   TLS_CERT        file of a certificate, and
//   TLS_KEY         of its key: the port is encrypted then, https and wss. SIGHUP reads the files
//                   again.
//   PUBLIC_WS_URL   what the page connects to behind a proxy, such as
//                   wss://chat.example.org/socket

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { shutdown, start } from 'wsbroker';
import { limits } from './messages.mjs';

const host = process.env.HOST || '127.0.0.1';
const port = numberFrom('PORT', 8080, 65_535);
const threads = numberFrom('THREADS', 2, 64);

const { TLS_CERT: cert, TLS_KEY: key } = process.env;
const tls = cert && key ? { cert, key } : undefined;

// An IPv6 address is in brackets if a port follows.
const authority = (name, number) => `${name.includes(':') ? `[${name}]` : name}:${number}`;

// Read once, served from memory. The list is fixed, so no request can reach another file.
const read = (name) => readFileSync(new URL(`public/${name}`, import.meta.url));
const files = new Map([
  ['/', { type: 'text/html; charset=utf-8', body: read('index.html') }],
  ['/style.css', { type: 'text/css; charset=utf-8', body: read('style.css') }],
  ['/icon.svg', { type: 'image/svg+xml', body: read('icon.svg') }],
  ...['main', 'connection', 'dialogs', 'dom', 'frame', 'rooms', 'storage', 'view'].map((name) => [
    `/${name}.js`,
    { type: 'text/javascript; charset=utf-8', body: read(`${name}.js`) },
  ]),
  // The page asks for this before each connection, so that it finds the server even when it has
  // moved.
  ['/config.json', {
    type: 'application/json',
    body: JSON.stringify({ webSocketUrl: process.env.PUBLIC_WS_URL }),
  }],
]);

const headers = {
  // Texts are shown as text (see view.js). If that ever failed, the browser would still run no
  // script but ours.
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' ws: wss:; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache',
};

const answer = (request, response) => {
  const file = files.get(request.url.split('?', 1)[0]);
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { ...headers, allow: 'GET, HEAD' }).end();
  } else if (!file) {
    response.writeHead(404, { ...headers, 'content-type': 'text/plain' }).end('not found\n');
  } else {
    response.writeHead(200, { ...headers, 'content-type': file.type });
    response.end(request.method === 'HEAD' ? undefined : file.body);
  }
};

const server = await start({
  bind: authority(host, port),
  workerPath: fileURLToPath(new URL('worker.mjs', import.meta.url)),
  http: answer,
  // Given without this thread: a load balancer sees that the process lives, and whether its workers
  // have loaded.
  answers: { '/healthz': 'health', '/readyz': 'ready' },
  threads,
  tls,
  maxPayload: limits.payload,
  // What was said in each room: see history.mjs. Nobody subscribes to these, so no frames of them.
  history: [{ channels: 'said:*', size: limits.history, ttl: 24 * 3_600_000, framed: false }],
  // After half of it in silence the server pings; without an answer in all of it the connection is
  // cut. Shorter than the default of 120 s, because in a chat people look at who is here.
  idleTimeout: 30_000,
}).catch(fail);

const shownHost = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
console.log(`Chat at ${tls ? 'https' : 'http'}://${authority(shownHost, server.port)} (WebSockets on port ${server.port}, too). Ctrl+C stops it.`);

if (tls) {
  process.on('SIGHUP', async () => {
    try {
      // Nobody is disconnected. An invalid pair is refused, and the old one stays.
      await server.reloadTls();
    } catch (error) {
      console.error(error.message);
    }
  });
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    // 1012, "service restart": the pages show that they wait, and reconnect by themselves.
    await shutdown({ code: 1012, timeout: 3_000 });
    // Nothing keeps the process alive any more, so it ends without process.exit().
  });
}

/** Says what is wrong and what to do, instead of a stack that only shows where. */
function fail(error) {
  const text = `${error.syscallCode ?? error.code} ${error.message}`;
  if (/EADDRINUSE|in use/iu.test(text)) {
    console.error(
      `Port ${port} on ${host} is in use. Stop the program that has it, or choose another: PORT=${port + 1000} npm start`,
    );
  } else {
    console.error(`The chat cannot start on ${authority(host, port)}: ${error.message}`);
  }
  process.exit(1);
}

function numberFrom(variable, otherwise, max) {
  const value = process.env[variable] || `${otherwise}`;
  if (!/^\d+$/u.test(value) || Number(value) > max) {
    console.error(`${variable} must be a whole number from 0 to ${max}, got ${JSON.stringify(value)}`);
    process.exit(1);
  }
  return Number(value);
}
