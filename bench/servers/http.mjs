// A Node server with a page of 1 KiB: alone (`node`), or behind wsbroker's port (`wsbroker`), which
// also answers /healthz. Says its port, and its processor time whenever it is asked.
import { createServer } from 'node:http';

const page = Buffer.alloc(1024, 'x');
const handle = (request, response) => {
  response.setHeader('Content-Type', 'text/plain');
  response.setHeader('Content-Length', page.length);
  response.end(page);
};

async function listen() {
  if (process.argv[2] === 'wsbroker') {
    const { start } = await import('wsbroker');
    return (await start({ bind: '127.0.0.1:0', path: [], http: handle, answers: { '/healthz': 'health' } })).port;
  }
  const server = createServer(handle);
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));
}

process.on('message', () => process.send({ cpu: process.cpuUsage() }));
process.send({ port: await listen() });
