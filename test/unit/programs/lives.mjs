// Ends by itself only if the server keeps the process alive until the timer, which does not, and shutdown then lets it go.
import { shutdown, start } from '../../../lib/index.mjs';

const [, , worker, threads] = process.argv;
const server = await start({ bind: '127.0.0.1:0', workerPath: worker, threads: Number(threads) });
console.log('listening', server.port);
setTimeout(async () => {
  console.log('stopping', JSON.stringify(await shutdown({ timeout: 3000 })));
}, 200).unref();
