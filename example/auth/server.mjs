// Login over HTTP, messages over WebSockets, on one port.
//
//   node example/auth/server.mjs        or        bun example/auth/server.mjs
//
//   HOST              address to listen on, default 127.0.0.1
//   PORT              port of login, page and WebSockets, default 8090
//   TOKEN_SECONDS     lifetime of a token, default 300: short, because a stolen token cannot be
//                     revoked
//   ALLOW_QUERY_TOKEN 1 accepts tokens in the address (worker.mjs says why it is off)

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { closeChannel, shutdown, start } from 'wsbroker';
import { makeAccounts } from './accounts.mjs';
import { makeIssuer } from './issuer.mjs';
import { BadToken, makeVerifier } from './verifier.mjs';

const host = process.env.HOST || '127.0.0.1';
const port = numberFrom('PORT', 8090, 0, 65_535);
const lifetime = numberFrom('TOKEN_SECONDS', 300, 1, 86_400);
const authority = (name, number) => `${name.includes(':') ? `[${name}]` : name}:${number}`;

const accounts = await makeAccounts(['alice', 'bob']);
const tokens = await makeIssuer(lifetime);

// ---- HTTP: login, renewal, the public key, the page

const read = (name) => readFileSync(new URL(`public/${name}`, import.meta.url));
const files = new Map([
  ['/', { type: 'text/html; charset=utf-8', body: read('index.html') }],
  ['/style.css', { type: 'text/css; charset=utf-8', body: read('style.css') }],
  ['/main.js', { type: 'text/javascript; charset=utf-8', body: read('main.js') }],
]);

const routes = {
  'GET /jwks.json': () => ({ json: tokens.jwks }),

  async 'POST /login'(request) {
    const address = request.socket.remoteAddress;
    if (!mayTry(address)) return { status: 429, json: { error: 'too many attempts, wait a minute' } };
    const { user, password } = (await jsonOf(request)) ?? {};
    if (typeof user !== 'string' || typeof password !== 'string') {
      return { status: 400, json: { error: 'expected JSON with user and password' } };
    }
    if (!(await accounts.check(user, password))) return { status: 401, json: { error: 'wrong name or password' } };
    attempts.set(address, (attempts.get(address) ?? 1) - 1);
    return { json: await tokens.issue(user, issuer) };
  },

  /**
   * Says whether a token is valid. A page asks before it connects again, because a browser does not
   * tell it why a WebSocket failed.
   */
  'GET /session': (request) => withToken(request, (user, expires) => ({ user, expires })),

  /** A new token for one that is still valid. */
  'POST /renew': (request) => withToken(request, (user) => tokens.issue(user, issuer)),
};

/** Answers with what `answer` returns for the request's token, or with 401. */
async function withToken(request, answer) {
  try {
    const { user, expires } = await verify(/^Bearer +(\S+)$/iu.exec(request.headers.authorization ?? '')?.[1] ?? '');
    return { json: await answer(user, expires) };
  } catch (error) {
    if (!(error instanceof BadToken)) throw error;
    return { status: 401, json: { error: error.message } };
  }
}

const headers = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  // Tokens must not stay in a cache.
  'cache-control': 'no-store',
};

async function answer(request, response) {
  const path = request.url.split('?', 1)[0];
  const route = Object.hasOwn(routes, `${request.method} ${path}`) ? routes[`${request.method} ${path}`] : undefined;
  const file = request.method === 'GET' ? files.get(path) : undefined;
  try {
    if (file) {
      response.writeHead(200, { ...headers, 'content-type': file.type }).end(file.body);
    } else {
      const { status = 200, json } = (await route?.(request)) ?? { status: 404, json: { error: 'not found' } };
      response.writeHead(status, { ...headers, 'content-type': 'application/json' }).end(JSON.stringify(json));
    }
  } catch (error) {
    console.error(error);
    response.writeHead(500, headers).end();
  }
}

/** The body as JSON; undefined if it is not JSON, or longer than any login. */
async function jsonOf(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > 4096) return undefined;
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch {
    return undefined;
  }
}

/**
 * Ten wrong passwords per minute and address. Attempts are counted before the check, so that
 * many at once do not get around it.
 */
const attempts = new Map();
setInterval(() => attempts.clear(), 60_000).unref();
function mayTry(address) {
  attempts.set(address, (attempts.get(address) ?? 0) + 1);
  return attempts.get(address) <= 10;
}

// The requests come first: the workers fetch the public key from this port.
const server = await start({
  bind: authority(host, port),
  path: [],
  http: answer,
  answers: { '/healthz': 'health', '/readyz': 'ready' },
}).catch(fail);

const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
const issuer = `http://${authority(reachable, server.port)}`;
const verify = makeVerifier(issuer);

// ---- WebSockets, on the same port. The workers get a copy of our environment, which tells them
// where tokens come from.

process.env.AUTH_ISSUER = issuer;
await start({
  bind: authority(host, server.port),
  workerPath: fileURLToPath(new URL('worker.mjs', import.meta.url)),
  threads: 2,
  maxPayload: 16 * 1024,
}).catch(fail);

// ---- The end of a token is the end of its connections. One clock for all of them, whatever their
// number: a connection is in the channel of the second in which its token expires, and closing a
// channel is one call. A timer per connection would also work, until the worker thread that has the
// timers dies; the channel survives that.

/**
 * A token may be checked in its last moment, and the verdict arrive later. So the channel of each
 * second is closed again for a while.
 */
const AFTERWARDS = 10;
let next = now();
const clock = setInterval(() => {
  for (const second of range(next - AFTERWARDS, now())) closeChannel(`expires:${second}`, 4001, 'token expired');
  next = now();
}, 250);

function now() {
  return Math.floor(Date.now() / 1000);
}

function* range(from, to) {
  for (let second = from; second <= to; second += 1) yield second;
}

for (const [user, password] of accounts.passwords) console.log(`${user.padEnd(6)} password ${password}`);
console.log(`Messages at ${issuer} (WebSockets on port ${server.port}, too). Ctrl+C stops it.`);

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    clearInterval(clock);
    await shutdown({ timeout: 3_000 });
  });
}

function fail(error) {
  const inUse = /EADDRINUSE|in use/iu.test(`${error.syscallCode ?? error.code} ${error.message}`);
  console.error(
    inUse
      ? `Port ${port} on ${host} is in use. Stop the program that has it, or choose another: PORT=${port + 1000} node example/auth/server.mjs`
      : `Cannot start on ${authority(host, port)}: ${error.message}`,
  );
  process.exit(1);
}

function numberFrom(variable, otherwise, min, max) {
  const value = process.env[variable] || `${otherwise}`;
  if (!/^\d+$/u.test(value) || Number(value) < min || Number(value) > max) {
    console.error(`${variable} must be a whole number from ${min} to ${max}, got ${JSON.stringify(value)}`);
    process.exit(1);
  }
  return Number(value);
}
