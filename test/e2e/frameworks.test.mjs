// Web frameworks behind the port of the sockets: pages, bodies, and who the client is.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { launch, runtime, until } from './harness.mjs';
import { ask } from './http-client.mjs';
import { request as upgrade, tcp } from './raw.mjs';

const require = createRequire(import.meta.url);
const oldNode = runtime.includes('node-18') || (runtime === process.execPath && process.versions.node.startsWith('18.'));

/** The entry of a package as a URL, also of one that has no CommonJS. */
const entry = (name) => (import.meta.resolve ? import.meta.resolve(name) : pathToFileURL(require.resolve(name)).href);

/**
 * For each: the packages it needs, and a function that runs in the server process, gets what they export, and returns
 * what `http` takes. The application says of `GET /` who asked for what, gives back a JSON body of `POST /say`, answers
 * `GET /stream` piece by piece, and knows nothing else.
 */
const FRAMEWORKS = {
  'Express 5': {
    packages: ['express'],
    make: ({ default: express }) => {
      const app = express();
      app.use(express.json());
      app.get('/', ({ ip, secure, hostname, url }, response) => response.json({ ip, secure, hostname, url }));
      app.post('/say', (request, response) => response.json({ said: request.body.text }));
      app.get('/stream', (request, response) => {
        response.write('one ');
        setTimeout(() => response.end('two'), 50);
      });
      return app;
    },
  },
  'Koa 3': {
    packages: ['koa'],
    make: ({ default: Koa }) => {
      const app = new Koa();
      app.use(async (context) => {
        const { ip, secure, hostname, url, method, path } = context;
        if (path === '/') context.body = { ip, secure, hostname, url };
        else if (`${method} ${path}` === 'POST /say') {
          let text = '';
          for await (const piece of context.req) text += piece;
          context.body = { said: JSON.parse(text).text };
        } else if (path === '/stream') {
          context.body = globalThis.require('node:stream').Readable.from((async function* () {
            yield 'one ';
            await new Promise((resolve) => setTimeout(resolve, 50));
            yield 'two';
          })());
        }
      });
      return app.callback();
    },
  },
  'Fastify 5': {
    packages: ['fastify'],
    newNode: true,
    make: async ({ default: fastify }) => {
      const app = fastify();
      app.get('/', async ({ ip, protocol, hostname, url }) => ({ ip, secure: protocol === 'https', hostname, url }));
      app.post('/say', async (request) => ({ said: request.body.text }));
      app.get('/stream', (request, reply) => {
        reply.send(globalThis.require('node:stream').Readable.from(['one ', 'two']));
      });
      await app.ready();
      return app.server;
    },
  },
  'Hono 4': {
    packages: ['hono', '@hono/node-server', '@hono/node-server/conninfo'],
    newNode: true,
    make: ({ Hono }, { getRequestListener }, { getConnInfo }) => {
      const app = new Hono();
      app.get('/', (context) => {
        const { protocol, hostname, pathname, search } = new URL(context.req.url);
        return context.json({ ip: getConnInfo(context).remote.address, secure: protocol === 'https:', hostname, url: pathname + search });
      });
      app.post('/say', async (context) => context.json({ said: (await context.req.json()).text }));
      app.get('/stream', (context) =>
        context.body(new ReadableStream({
          start(stream) {
            const pieces = ['one ', 'two'].map((text) => new TextEncoder().encode(text));
            stream.enqueue(pieces[0]);
            setTimeout(() => {
              stream.enqueue(pieces[1]);
              stream.close();
            }, 50);
          },
        })));
      return getRequestListener(app.fetch);
    },
  },
  'h3 2': {
    packages: ['h3'],
    newNode: true,
    make: ({ H3, toNodeHandler }) => {
      const app = new H3();
      app.get('/', ({ req, url: { protocol, hostname, pathname, search } }) => ({ ip: req.ip, secure: protocol === 'https:', hostname, url: pathname + search }));
      app.post('/say', async ({ req }) => ({ said: (await req.json()).text }));
      app.get('/stream', () =>
        new ReadableStream({
          start(stream) {
            const pieces = ['one ', 'two'].map((text) => new TextEncoder().encode(text));
            stream.enqueue(pieces[0]);
            setTimeout(() => {
              stream.enqueue(pieces[1]);
              stream.close();
            }, 50);
          },
        }));
      return toNodeHandler(app);
    },
  },
  'NestJS 12': {
    packages: ['reflect-metadata', '@nestjs/common', '@nestjs/core'],
    newNode: true,
    make: async (_, common, { NestFactory }) => {
      // What decorators do, without a compiler.
      class Pages {
        page({ ip, secure, hostname, url }) {
          return { ip, secure, hostname, url };
        }
        say(body) {
          return { said: body.text };
        }
        stream() {
          return new common.StreamableFile(globalThis.require('node:stream').Readable.from([Buffer.from('one '), Buffer.from('two')]));
        }
      }
      const route = (method, decorator, argument) => {
        decorator(Pages.prototype, method, Object.getOwnPropertyDescriptor(Pages.prototype, method));
        argument?.(Pages.prototype, method, 0);
      };
      route('page', common.Get('/'), common.Req());
      route('say', common.Post('/say'), common.Body());
      route('stream', common.Get('/stream'));
      common.Controller()(Pages);
      class Application {}
      common.Module({ controllers: [Pages] })(Application);
      const app = await NestFactory.create(Application, { logger: false });
      await app.init();
      return app.getHttpServer();
    },
  },
  // A custom server of Next.js is a request listener that reads the URL itself, and a listener for upgrades. The package
  // itself, with its compiler, is too large to be tested here.
  'the shape of a custom server of Next.js': {
    packages: [],
    make: () => {
      const handle = async (request, response) => {
        const { remoteAddress: ip, encrypted: secure } = request.socket;
        if (request.method === 'POST') {
          let text = '';
          for await (const piece of request) text += piece;
          return response.end(JSON.stringify({ said: JSON.parse(text).text }));
        }
        if (request.url === '/stream') {
          response.flushHeaders();
          response.write('one ');
          return response.end('two');
        }
        if (!/^\/(\?|$)/.test(request.url)) return response.writeHead(404).end();
        response.end(JSON.stringify({ ip, secure, hostname: request.headers.host.split(':')[0], url: request.url }));
      };
      const server = globalThis.require('node:http').createServer(handle);
      server.on('upgrade', (request, socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhot'));
      return server;
    },
    upgrades: ['/_next/webpack-hmr'],
  },
};

for (const [name, { packages, make, newNode, upgrades = [] }] of Object.entries(FRAMEWORKS)) {
  // It needs Node 20 itself: on Node 18 there is nothing of ours to test.
  if (newNode && oldNode) {
    console.log(`${name} does not run on this Node: its test is left out`);
    continue;
  }
  test(`${name}: pages, bodies and sockets on one port, and the client's address without any setting`, async (t) => {
    const server = await launch(t, { start: false });
    server.at = await server.main(
      async (wsb, kit, given, source, urls) => {
        const modules = [];
        for (const url of urls) modules.push(await import(url));
        return kit.start({ ...given, http: await (0, eval)(`(${source})`)(...modules) });
      },
      { ...server.defaults, path: '/ws', trustProxy: { from: '127.0.0.1' }, answers: { '/healthz': 'health' }, forwardUpgrades: upgrades },
      String(make),
      packages.map(entry),
    );
    const seen = async (headers) => {
      const { status, body } = await ask(server, '/?a=b%20c', { headers });
      assert.equal(status, 200, body);
      return JSON.parse(body);
    };
    assert.deepEqual(await seen(), { ip: '127.0.0.1', secure: false, hostname: '127.0.0.1', url: '/?a=b%20c' });
    // Behind a proxy that is trusted, which ends TLS. Host passes unchanged.
    const proxied = { 'X-Forwarded-For': '6.6.6.6, 192.0.2.9', 'X-Forwarded-Proto': 'https', Host: 'chat.example' };
    assert.deepEqual(await seen(proxied), { ip: '192.0.2.9', secure: true, hostname: 'chat.example', url: '/?a=b%20c' });
    const said = await ask(server, '/say', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"text":"schön"}' });
    assert.deepEqual(JSON.parse(said.body), { said: 'schön' });
    const stream = await ask(server, '/stream');
    assert.deepEqual([stream.status, stream.body, stream.headers['transfer-encoding']], [200, 'one two', 'chunked']);
    assert.equal((await ask(server, '/nowhere')).status, 404);
    assert.equal((await ask(server, '/healthz')).body, 'ok\n');
    const head = await ask(server, '/', { method: 'HEAD' });
    assert.deepEqual([head.status, head.body], [200, '']);
    for (const path of upgrades) {
      const raw = await tcp(server);
      let got = '';
      raw.socket.on('data', (piece) => (got += piece));
      raw.write(upgrade(path));
      await until(() => /^HTTP\/1.1 101 [^]*\r\n\r\nhot$/.test(got), 'an upgrade of its own');
      await raw.end();
    }
    const client = await server.connect('/ws');
    assert.deepEqual(await client.fence(), []);
    const { failed } = (await server.main((wsb) => wsb.stats())).http;
    assert.ok(Object.values(failed).every((count) => count === 0), JSON.stringify(failed));
  });
}
