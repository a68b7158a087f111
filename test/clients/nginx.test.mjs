// nginx in front, as it is installed here: who the client is comes through it, and nobody else is believed.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';

import { launch, until } from '../e2e/harness.mjs';
import { frame, request, tcp, TEXT } from '../e2e/raw.mjs';
import { freePort } from '../free-port.mjs';

const nginx = [process.env.NGINX, '/usr/sbin/nginx', '/usr/local/sbin/nginx', '/usr/local/bin/nginx', '/opt/homebrew/bin/nginx'].find((file) => file && existsSync(file));
/** Built in, or a file beside it. */
const streamModule = nginx && [path.join(path.dirname(nginx), '../lib/nginx/modules/ngx_stream_module.so'), '/usr/lib/nginx/modules/ngx_stream_module.so'].find(existsSync);
const hasStream = streamModule || (nginx && / --with-stream( |$)/.test(spawnSync(nginx, ['-V'], { encoding: 'utf8', timeout: 20_000 }).stderr));

const skip =
  process.platform !== 'linux'
    ? 'clients come from several addresses of 127.0.0.0/8, which only Linux has'
    : !nginx
      ? 'no nginx; enable with: apt-get install nginx libnginx-mod-stream, or NGINX=/path/to/nginx'
      : !hasStream
        ? 'nginx without its stream module; enable with: apt-get install libnginx-mod-stream'
        : false;
if (skip) console.log(`skipped: ${skip}`);

/** What every client is told: who it is. */
const worker = (wsb, kit) => ({
  handleOpen(id, ip, headers, { remotePort, url, protocols }) {
    wsb.send(id, JSON.stringify({ ip, remotePort, url, protocols, host: headers.host }));
  },
  handleTextMessage: (text, id) => void wsb.send(id, text),
  handleClose: (id, token, code, reason) => kit.tell('close', { code, reason }),
});

/** Starts nginx with these servers: text of `http`, and of `stream`. */
async function proxy(t, server, http, stream = '') {
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${server.folder}/${name};`).join('\n');
  const conf = server.file(
    'nginx.conf',
    `${streamModule ? `load_module ${streamModule};` : ''}
    daemon off; master_process off; error_log stderr; pid ${server.folder}/nginx.pid;
    events { worker_connections 512; }
    http {
      access_log off; ${temp}
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      ${http}
    }
    stream { ${stream} }`,
  );
  const child = spawn(nginx, ['-p', server.folder, '-c', conf], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (said += text));
  const ended = new Promise((resolve) => child.on('close', resolve));
  const atExit = () => child.kill('SIGKILL');
  process.on('exit', atExit);
  t.after(async () => {
    child.kill('SIGKILL');
    process.off('exit', atExit);
    await ended;
  });
  for (const [, port] of (http + stream).matchAll(/listen 127\.0\.0\.1:(\d+)/g)) {
    await until(async () => {
      assert.equal(child.exitCode, null, `nginx ended: ${said}`);
      const probe = net.connect({ port, host: '127.0.0.1' });
      const open = await new Promise((resolve) => probe.on('connect', () => resolve(true)).on('error', () => resolve(false)));
      probe.destroy();
      return open;
    }, `nginx to listen on ${port}`);
  }
}

/** Connects from that address through that port: what the server knows of the client, which is good for an echo, too. */
async function known(server, port, { from = '127.0.0.5', headers = {}, where = '/' } = {}) {
  const client = await server.connect(where, { at: { url: `ws://127.0.0.1:${port}` }, localAddress: from, headers, id: false });
  const told = JSON.parse(await client.next());
  const text = 'through nginx '.repeat(20_000);
  client.send(text);
  assert.equal(await client.next(), text);
  return { ...told, client, localPort: client.ws._socket.localPort };
}

test('over TCP, with X-Forwarded-For and trustProxy', { skip }, async (t) => {
  const server = await launch(t, { worker, options: { trustProxy: { from: '127.0.0.1' } } });
  const port = await freePort();
  await proxy(t, server, `server { listen 127.0.0.1:${port}; location / { proxy_pass http://127.0.0.1:${server.port}; } }`);
  const { ip, url, host, client } = await known(server, port, { where: '/room?a=b' });
  assert.deepEqual([ip, url, host], ['127.0.0.5', '/room?a=b', '127.0.0.1']);
  assert.equal((await client.close(4001, 'bye')).code, 4001);
  assert.deepEqual(await server.told.next('close'), { type: 'close', code: 4001, reason: 'bye' });
  // What a client claims stands left of what nginx adds.
  assert.equal((await known(server, port, { headers: { 'X-Forwarded-For': '6.6.6.6' } })).ip, '127.0.0.5');
  assert.equal((await known(server, port, { headers: { 'X-Forwarded-For': '127.0.0.1, 6.6.6.6, 127.0.0.1' } })).ip, '127.0.0.5');
  // No other header is looked at.
  assert.equal((await known(server, port, { headers: { Forwarded: 'for=6.6.6.6', 'X-Real-IP': '6.6.6.6' } })).ip, '127.0.0.5');
});

test('over TCP, with Forwarded and trustProxy', { skip }, async (t) => {
  const server = await launch(t, { worker, options: { trustProxy: { from: ['127.0.0.1/32'], header: 'forwarded' } } });
  const port = await freePort();
  await proxy(
    t,
    server,
    `server { listen 127.0.0.1:${port}; location / {
      proxy_pass http://127.0.0.1:${server.port};
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; proxy_set_header Host $host;
      proxy_set_header Forwarded "$http_forwarded, for=\\"$remote_addr:$remote_port\\";proto=http";
    } }`,
  );
  assert.equal((await known(server, port)).ip, '127.0.0.5');
  assert.equal((await known(server, port, { headers: { Forwarded: 'for=6.6.6.6' } })).ip, '127.0.0.5');
  assert.equal((await known(server, port, { headers: { 'X-Forwarded-For': '6.6.6.6' } })).ip, '127.0.0.5');
});

test('over a Unix socket, with trustProxy', { skip }, async (t) => {
  const server = await launch(t, { worker });
  const socket = path.join(server.folder, 'broker.sock');
  await server.start({ bind: `unix:${socket}`, trustProxy: { from: 'unix' } });
  const port = await freePort();
  await proxy(t, server, `server { listen 127.0.0.1:${port}; location / { proxy_pass http://unix:${socket}; } }`);
  assert.equal((await known(server, port)).ip, '127.0.0.5');
  assert.equal((await known(server, port, { headers: { 'X-Forwarded-For': '6.6.6.6' } })).ip, '127.0.0.5');
});

test('with the PROXY protocol, by its stream module', { skip }, async (t) => {
  const server = await launch(t, { worker, options: { proxyProtocol: true } });
  const port = await freePort();
  await proxy(t, server, '', `server { listen 127.0.0.1:${port}; proxy_pass 127.0.0.1:${server.port}; proxy_protocol on; }`);
  const { ip, remotePort, localPort } = await known(server, port);
  assert.deepEqual([ip, remotePort], ['127.0.0.5', localPort]);
  // The header of HTTP says nothing there.
  assert.equal((await known(server, port, { headers: { 'X-Forwarded-For': '6.6.6.6' } })).ip, '127.0.0.5');
  // A client that comes past nginx has no such header, and is cut.
  const direct = await tcp(server);
  direct.write(request());
  await direct.end();
  assert.equal(direct.status, undefined);
});

test('a header of somebody who is not trusted is not believed', { skip }, async (t) => {
  const server = await launch(t, { worker, options: { trustProxy: { from: '127.0.0.1' } } });
  const forged = { 'X-Forwarded-For': '6.6.6.6', Forwarded: 'for=6.6.6.6' };
  assert.equal((await known(server, server.port, { from: '127.0.0.7', headers: forged })).ip, '127.0.0.7');
  // Behind a proxy that is not on the list everybody is the proxy.
  const wary = await server.start({ trustProxy: { from: '10.0.0.0/8' } });
  const port = await freePort();
  await proxy(t, server, `server { listen 127.0.0.1:${port}; location / { proxy_pass http://127.0.0.1:${wary.port}; } }`);
  assert.equal((await known(server, port, { headers: forged })).ip, '127.0.0.1');
  const nobody = await server.start({});
  assert.equal((await known(server, nobody.port, { from: '127.0.0.1', headers: forged })).ip, '127.0.0.1');
});

test('maxConnectionsPerIp counts clients, not the proxy', { skip }, async (t) => {
  const server = await launch(t, { worker, options: { trustProxy: { from: '127.0.0.1' }, maxConnectionsPerIp: 2 } });
  const port = await freePort();
  await proxy(t, server, `server { listen 127.0.0.1:${port}; location / { proxy_pass http://127.0.0.1:${server.port}; } }`);
  const at = { url: `ws://127.0.0.1:${port}` };
  const first = await known(server, port);
  await known(server, port, { headers: { 'X-Forwarded-For': '6.6.6.6' } });
  assert.equal((await server.refused('/', { at, localAddress: '127.0.0.5' })).status, 429);
  for (const from of ['127.0.0.6', '127.0.0.7', '127.0.0.8']) assert.equal((await known(server, port, { from })).ip, from);
  await first.client.close();
  await until(async () => {
    try {
      return await known(server, port);
    } catch {
      return false;
    }
  }, 'the place to be free again');
});

test('a frame that nginx cuts into pieces is whole again, and its end is reported', { skip }, async (t) => {
  const server = await launch(t, { worker, options: { trustProxy: { from: '127.0.0.1' } } });
  const port = await freePort();
  await proxy(t, server, `proxy_buffer_size 1k; server { listen 127.0.0.1:${port}; location / { proxy_pass http://127.0.0.1:${server.port}; } }`);
  const raw = await tcp({ port, raws: server.raws });
  raw.write(request());
  assert.equal(await raw.answer(), 101);
  const text = 'x'.repeat(500_000);
  raw.write(frame(TEXT, text));
  assert.equal((await raw.frame(TEXT, 1)).text, text);
  raw.reset();
  assert.equal((await server.told.next('close')).code, 1006);
});
