// Rooms and direct messages, encrypted between each page and the server, on WebSocketServerHelper.
//
//   node example/helper/server.mjs        or        bun example/helper/server.mjs
//
//   REDIS_URL           a Redis that already runs. Otherwise one is started on a free port, and
//                       stopped at the end.
//   HOST                address to listen on, default 127.0.0.1: only your machine
//   PORT                port of the page, default 8110
//   WS_PORT             port of the WebSockets, default PORT + 1
//   HEARTBEAT_SECONDS   how often a page sends a heartbeat, default 20; after three times that
//                       in silence it is closed
//   TRANSPORT           native (default) or, on Bun, bun: the sockets of Bun.serve

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findRedis } from '../redis.mjs';
import { startHelper } from './helper.mjs';
import { rooms } from './rooms.mjs';
import { issue, nameOf } from './tickets.mjs';

const COMMAND = 'node example/helper/server.mjs';
const host = process.env.HOST || '127.0.0.1';
const port = numberFrom('PORT', 8110, 0, 65_534);
const webSocketPort = numberFrom('WS_PORT', port === 0 ? 0 : port + 1, 0, 65_535);
const heartbeat = 1000 * numberFrom('HEARTBEAT_SECONDS', 20, 1, 3600);
const transport = process.env.TRANSPORT || 'native';
if (transport !== 'native' && !(transport === 'bun' && globalThis.Bun)) fail(`TRANSPORT must be native or, on Bun, bun; got ${JSON.stringify(transport)}`);

const redis = await findRedis(COMMAND).catch((error) => fail(error.message));

// ---- WebSockets

const sockets = await startHelper({ transport, host, port: webSocketPort, redisConnection: redis.url, heartbeat, announce }).catch(async (error) => {
  await redis.close();
  fail(isInUse(error) ? inUse('WS_PORT', webSocketPort) : `Cannot start: ${error.message}`);
});

/** Announces through a process without sockets, which does not know ours. One at a time. */
let announcing = false;
async function announce({ text, from }) {
  if (announcing) throw new Error('Someone else is announcing something. Try again.');
  announcing = true;
  try {
    await promisify(execFile)(process.execPath, [fileURLToPath(new URL('announce.mjs', import.meta.url)), text, from], {
      env: { ...process.env, REDIS_URL: redis.url },
      timeout: 10_000,
    });
  } catch (error) {
    console.error(error.message);
    throw new Error('The announcement did not get through.');
  } finally {
    announcing = false;
  }
}

// ---- The page, and the tickets

const read = (name) => readFileSync(new URL(`public/${name}`, import.meta.url));
const files = new Map([
  ['/', { type: 'text/html; charset=utf-8', body: read('index.html') }],
  ['/style.css', { type: 'text/css; charset=utf-8', body: read('style.css') }],
  ...['main.js', 'connection.js', 'secure.mjs', 'view.js'].map((name) => [`/${name}`, { type: 'text/javascript; charset=utf-8', body: read(name) }]),
  ['/config.json', { type: 'application/json', body: JSON.stringify({ port: sockets.port, path: sockets.helper.getPath(), heartbeat, rooms }) }],
]);
const headers = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  // Tickets must not stay in a cache.
  'cache-control': 'no-store',
};

const page = createServer(async (request, response) => {
  const path = request.url.split('?', 1)[0];
  const json = (status, value) => response.writeHead(status, { ...headers, 'content-type': 'application/json' }).end(JSON.stringify(value));
  const file = files.get(path);
  if (path === '/login') {
    if (request.method !== 'POST') return response.writeHead(405, { ...headers, allow: 'POST' }).end();
    // A page of another site may send this, but not read the answer.
    const name = nameFor(await bodyOf(request).catch(() => undefined));
    return name === undefined ? json(400, { error: 'A name has up to 24 letters, digits and spaces, and begins with a letter or digit.' }) : json(200, { name, ticket: issue(name) });
  }
  if (!file) return json(404, { error: 'not found' });
  if (request.method !== 'GET' && request.method !== 'HEAD') return response.writeHead(405, { ...headers, allow: 'GET, HEAD' }).end();
  return response.writeHead(200, { ...headers, 'content-type': file.type }).end(request.method === 'HEAD' ? undefined : file.body);
});
await new Promise((resolve, reject) => page.once('error', reject).listen(port, host, resolve)).catch(async (error) => {
  await sockets.stop();
  await redis.close();
  fail(isInUse(error) ? inUse('PORT', port) : `Cannot start: ${error.message}`);
});

/** Anyone may take any name. Check a password or a session here. */
function nameFor(body) {
  return nameOf(body?.name);
}

/** The body as JSON; it throws if it is not JSON, or longer than any login. */
async function bodyOf(request) {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) {
    body += chunk;
    if (body.length > 1024) throw new Error('too long');
  }
  return JSON.parse(body);
}

const shown = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
console.log(`Rooms at http://${shown.includes(':') ? `[${shown}]` : shown}:${page.address().port} (WebSockets on port ${sockets.port}; Redis at ${redis.url.replace(/\/\/[^@/]*@/u, '//')}). Ctrl+C stops it.`);

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    page.close();
    page.closeAllConnections?.();
    await sockets.stop();
    await redis.close();
  });
}

function isInUse(error) {
  return /EADDRINUSE|in use/iu.test(`${error.syscallCode ?? error.code} ${error.message}`);
}

function inUse(variable, number) {
  return `Port ${number} on ${host} is in use. Stop the program that has it, or choose another: ${variable}=${number + 1000} ${COMMAND}`;
}

/** Says what is wrong, instead of a stack that only shows where. */
function fail(text) {
  console.error(text);
  process.exit(1);
}

function numberFrom(variable, otherwise, min, max) {
  const value = process.env[variable] || `${otherwise}`;
  if (!/^\d+$/u.test(value) || Number(value) < min || Number(value) > max) fail(`${variable} must be a whole number from ${min} to ${max}, got ${JSON.stringify(value)}`);
  return Number(value);
}
