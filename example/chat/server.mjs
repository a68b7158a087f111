// The chat server: the page and the WebSockets on one port. wsbroker serves both from threads of its
// own, so this one only starts and stops it.
//
//   node example/chat/server.mjs        or        bun example/chat/server.mjs
//
//   HOST            address to listen on, default 127.0.0.1: only your machine. 0.0.0.0 lets your
//                   network in.
//   PORT            port of the page and of the WebSockets, default 8080
//   THREADS         worker threads, default 2: enough to show that nothing depends on being in the
//                   same thread
//   REDIS_URL       a Redis that keeps what was said, also when this process ends. Without it the
//                   history is in this process.
//   TLS_CERT        file of a certificate, and
//   TLS_KEY         of its key: the port is encrypted then, https and wss. SIGHUP reads the files
//                   again.
//   PUBLIC_WS_URL   what the page connects to behind a proxy, such as
//                   wss://chat.example.org/socket

import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { shutdown, start } from 'wsbroker';
import { limits } from './messages.mjs';

const host = process.env.HOST || '127.0.0.1';
const port = numberFrom('PORT', 8080, 65_535);
const threads = numberFrom('THREADS', 2, 64);

const { TLS_CERT: cert, TLS_KEY: key, REDIS_URL: redis } = process.env;
const tls = cert && key ? { cert, key } : undefined;

// An IPv6 address is in brackets if a port follows.
const authority = (name, number) => `${name.includes(':') ? `[${name}]` : name}:${number}`;

const types = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};
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

const server = await start({
  bind: authority(host, port),
  workerPath: fileURLToPath(new URL('worker.mjs', import.meta.url)),
  answers: {
    ...page(),
    // A load balancer sees that the process lives, and whether its workers have loaded.
    '/healthz': 'health',
    '/readyz': 'ready',
  },
  threads,
  tls,
  history: [
    // What was said: for newcomers, and for those whose connection was away.
    { channels: 'room:*', size: 500, ttl: 24 * 3_600_000 },
    // Who comes, goes and types. Nobody is told of that later: they ask who is there (see worker.mjs).
    { channels: 'here:*', size: 100, ttl: 60_000 },
  ],
  cluster: redis ? { redis } : undefined,
  maxPayload: limits.payload,
  // Who floods is disconnected. When a page comes back, its subscriptions are one message.
  rateLimit: { messages: 20, burst: 100, action: 'close' },
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

/** The files of the page, and the client that it imports, by path. They are read once. */
function page() {
  const client = createRequire(import.meta.url).resolve('wsbroker/client');
  const webSocketUrl = process.env.PUBLIC_WS_URL || '/';
  return {
    '/': file(new URL('public/index.html', import.meta.url)),
    ...folder('/', fileURLToPath(new URL('public', import.meta.url))),
    '/wsbroker/client.mjs': file(client),
    ...folder('/wsbroker/client/', join(dirname(client), 'client')),
    '/config.js': answer('.js', `export const webSocketUrl = ${JSON.stringify(webSocketUrl)};\n`),
  };
}

function folder(path, from) {
  const names = readdirSync(from).filter((name) => extname(name) in types);
  return Object.fromEntries(names.map((name) => [`${path}${name}`, file(join(from, name))]));
}

function file(path) {
  return answer(extname(`${path}`), readFileSync(path));
}

function answer(extension, body) {
  return { status: 200, headers: { ...headers, 'content-type': types[extension] }, body };
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
