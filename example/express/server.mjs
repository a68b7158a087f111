// Express and wsbroker on one port: a login sets a cookie, and the sockets know who is there by it.
//
//   node example/express/server.mjs        or        bun example/express/server.mjs
//
//   HOST     address to listen on, default 127.0.0.1: only your machine
//   PORT     port of the pages and of the WebSockets, default 8080
//   ORIGIN   where the pages are, as browsers see it, such as https://chat.example.org; default
//            http://HOST:PORT
//   SECRET   signs the sessions; by default a new one for each start, which ends all sessions

import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import express from 'express';
import { sendToChannel, setReady, shutdown, start } from 'wsbroker';
import { COOKIE, LIFETIME, nameIn, seal } from './session.mjs';

const host = process.env.HOST || '127.0.0.1';
const port = Number(process.env.PORT || 8080);
const secret = process.env.SECRET || randomBytes(32).toString('hex');
const here = (name) => fileURLToPath(new URL(name, import.meta.url));

const app = express();
app.disable('x-powered-by');
app.use((request, response, next) => {
  response.set('Content-Security-Policy', "default-src 'self'; base-uri 'none'; frame-ancestors 'none'");
  next();
});
app.use(express.static(here('public')));
app.use(express.json({ limit: '10kb' }));

// There are no passwords here: see example/auth for those.
app.post('/login', (request, response) => {
  const { name } = request.body ?? {};
  if (typeof name !== 'string' || !/^\p{L}[\p{L}\d ]{0,19}$/u.test(name)) {
    response.status(400).json({ error: 'a name has 1 to 20 letters, digits and spaces' });
    return;
  }
  // `request.secure` is the client's connection: wsbroker tells Express of it.
  const { secure } = request;
  response.cookie(COOKIE, seal(name, secret), { httpOnly: true, sameSite: 'strict', secure, maxAge: LIFETIME * 1000 });
  response.json({ name });
});

// A request can reach the sockets of all threads.
app.post('/announce', (request, response) => {
  const from = nameIn(request.get('cookie'), secret);
  if (from === undefined) {
    response.status(401).json({ error: 'log in first' });
    return;
  }
  const text = `an announcement: ${String(request.body?.text ?? '').slice(0, 200)}`;
  response.json({ reached: sendToChannel('everyone', JSON.stringify({ from, text })) });
});

const server = await start({
  bind: `${host.includes(':') ? `[${host}]` : host}:${port}`,
  path: '/ws',
  workerPath: here('worker.mjs'),
  threads: 2,
  worker: { workerData: { secret } },
  http: app,
  answers: { '/healthz': 'health', '/readyz': 'ready' },
  maxPayload: 4096,
  // A cookie is sent by pages of any site: only our own may open sockets with it.
  origins: process.env.ORIGIN ?? (port === 0 ? undefined : `http://${host}:${port}`),
});
console.log(`Pages at http://${host}:${server.port} (WebSockets on port ${server.port}, too). Ctrl+C stops it.`);

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    setReady(false);
    // 1012: the page connects again by itself.
    await shutdown({ code: 1012, timeout: 3_000 });
  });
}
