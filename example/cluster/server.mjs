// Two instances on one Redis, and a page with a socket to each.
//
//   node example/cluster/server.mjs        or        bun example/cluster/server.mjs
//
//   REDIS_URL   a Redis that already runs. Otherwise one is started on a free port, and stopped
//               at the end.
//   HOST        address to listen on, default 127.0.0.1: only your machine
//   PORT        port of the page, default 8100
//   WS_PORT     port of the first instance, default PORT + 1; the second has the next one

import { fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { findRedis } from '../redis.mjs';

const host = process.env.HOST || '127.0.0.1';
const port = numberFrom('PORT', 8100);
const webSocketPort = numberFrom('WS_PORT', port === 0 ? 0 : port + 1);
const NAMES = ['north', 'south'];

// An IPv6 address is in brackets if a port follows.
const authority = (name, number) => `${name.includes(':') ? `[${name}]` : name}:${number}`;

const redis = await findRedis('node example/cluster/server.mjs').catch((error) => fail(error));

let ending = false;
const instances = await Promise.all(NAMES.map((name, i) => startInstance(name, webSocketPort === 0 ? 0 : webSocketPort + i))).catch((error) => fail(error));

const read = (name) => readFileSync(new URL(`public/${name}`, import.meta.url));
const files = new Map([
  ['/', { type: 'text/html; charset=utf-8', body: read('index.html') }],
  ['/style.css', { type: 'text/css; charset=utf-8', body: read('style.css') }],
  ['/main.js', { type: 'text/javascript; charset=utf-8', body: read('main.js') }],
]);
const headers = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self' ws:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache',
};

const page = createServer(async (request, response) => {
  const path = request.url.split('?', 1)[0];
  const json = (status, value) => response.writeHead(status, { ...headers, 'content-type': 'application/json' }).end(JSON.stringify(value));
  const about = () => ({ instances: instances.map(({ name, port }) => ({ name, port })), redis: { own: redis.own, running: redis.running } });
  if (request.method === 'GET' && path === '/state.json') return json(200, about());
  if (request.method === 'POST' && (path === '/redis/start' || path === '/redis/stop')) {
    // Only this page's own buttons: another site's page could send this too, but not with this
    // Origin.
    if (!redis.own || request.headers.origin !== `http://${request.headers.host}`) return json(403, { error: 'not for you' });
    try {
      await (path === '/redis/start' ? redis.start() : redis.stop());
      return json(200, about());
    } catch (error) {
      return json(500, { error: error.message });
    }
  }
  const file = files.get(path);
  if (request.method !== 'GET' && request.method !== 'HEAD') response.writeHead(405, { ...headers, allow: 'GET, HEAD' }).end();
  else if (!file) response.writeHead(404, { ...headers, 'content-type': 'text/plain' }).end('not found\n');
  else response.writeHead(200, { ...headers, 'content-type': file.type }).end(request.method === 'HEAD' ? undefined : file.body);
});
await new Promise((resolve, reject) => page.once('error', reject).listen(port, host, resolve)).catch((error) => fail(error));

const shown = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
const ports = instances.map(({ port }) => port).join(' and ');
console.log(`Two instances at http://${authority(shown, page.address().port)} (WebSockets on ports ${ports}; Redis at ${withoutPassword(redis.url)}). Ctrl+C stops it.`);

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => end(0));

/** Starts one, and resolves when it accepts connections. */
function startInstance(name, port) {
  const child = fork(fileURLToPath(new URL('instance.mjs', import.meta.url)), {
    env: { ...process.env, INSTANCE: name, BIND: authority(host, port), REDIS_URL: redis.url },
  });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  exited.then((code) => {
    if (!ending) fail(new Error(`instance ${name} ended with ${code}`));
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('message', ({ port }) => resolve({ name, port, child, exited }));
  });
}

async function end(code) {
  if (ending) return;
  ending = true;
  page.close();
  page.closeAllConnections?.();
  for (const { child } of instances) child.disconnect();
  await Promise.all(instances.map(({ exited }) => exited));
  await redis.close();
  process.exitCode = code;
}

/**
 * Says what is wrong, instead of a stack that only shows where. What was started ends with this
 * process.
 */
function fail(error) {
  console.error(error.code === 'EADDRINUSE' ? `Port ${error.port} on ${host} is in use; choose another: PORT=${port + 1000} node example/cluster/server.mjs` : error.message);
  process.exit(1);
}

function withoutPassword(url) {
  return url.replace(/\/\/[^@/]*@/u, '//');
}

function numberFrom(variable, otherwise) {
  const value = process.env[variable] || `${otherwise}`;
  if (!/^\d+$/u.test(value) || Number(value) > 65_534) {
    console.error(`${variable} must be a whole number from 0 to 65534, got ${JSON.stringify(value)}`);
    process.exit(1);
  }
  return Number(value);
}
