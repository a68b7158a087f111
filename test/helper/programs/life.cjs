// A helper and an emitter from beginning to end; then nothing may keep the process.
const { Cluster, Redis } = require('ioredis');

const { WebSocketEmitter, WebSocketServerHelper } = require('../../../lib/server-helper.cjs');

const [, , kind, port, how] = process.argv;
process.on('unhandledRejection', (error) => {
  console.error('unhandled', error);
  process.exit(9);
});
const logger = { for: () => logger, debug() {}, info() {}, warn() {}, error() {} };
const redisConnection = kind === 'cluster'
  ? new Cluster([{ host: '127.0.0.1', port: Number(port) }], { lazyConnect: true })
  : new Redis(Number(port), '127.0.0.1', { lazyConnect: true });

(async () => {
  const helper = new WebSocketServerHelper({ identifier: 'x', redisConnection, server: { pendingWebSockets: 0, publish: () => 0 }, authenticateFn: () => null, logger });
  const emitter = new WebSocketEmitter({ redisConnection, logger });
  const configured = how === 'unconfigured' ? [] : await Promise.allSettled([helper.configure(), emitter.configure()]);
  if (configured.some(({ status }) => (status === 'fulfilled') !== (how === 'configured'))) throw new Error(`configured: ${JSON.stringify(configured)}`);
  if (how === 'configured') await emitter.broadcast({ event: 'x', data: 1 });
  await Promise.all([helper.shutdown(), emitter.shutdown()]);
  console.log('shut down');
})();
