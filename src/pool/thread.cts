import './in-pool.cjs';
import { syncBuiltinESMExports } from 'node:module';
import threads = require('node:worker_threads');
import { toPortable, type PortableError } from '../errors.cjs';
import { loadWorker } from '../worker/modules.cjs';
import { currentRegistration } from '../worker/register.cjs';
import { reportError, warnings } from '../report.cjs';

// The entry of the pool's threads. It communicates with src/pool/pool.cts over a port of its own,
// because the thread's usual port belongs to the application.

/** What the pool gives to a thread, as `workerData.wsbroker`. */
export interface WorkerStart {
  readonly file: string;
  readonly port: threads.MessagePort;
  /** The application's own data, which its module finds as `workerData`. */
  readonly workerData: unknown;
}

export type ToWorker = { readonly type: 'stop'; readonly timeout: number };

export type FromWorker =
  | { readonly type: 'loaded' }
  | { readonly type: 'ready' }
  | { readonly type: 'failed'; readonly error: PortableError }
  | { readonly type: 'warning'; readonly text: string };

const { file, port, workerData } = (threads.workerData as { wsbroker: WorkerStart }).wsbroker;
// For `require` and, with the second call, for `import`.
(threads as { workerData: unknown }).workerData = workerData;
syncBuiltinESMExports();

const post = (message: FromWorker): void => port.postMessage(message);
warnings.emit = (text) => post({ type: 'warning', text });

port.on('message', (message: ToWorker) => {
  const registration = currentRegistration();
  const stopped =
    registration === undefined ? Promise.resolve() : registration.stop(message.timeout);
  void stopped.then(() => {
    port.close();
    // Timers and sockets of the application's module would keep the thread alive for ever.
    process.exit(0);
  });
});

// The thread that started this one has ended.
port.on('close', () => process.exit(0));

loadWorker(file, 0, () => post({ type: 'loaded' })).then(
  () => post({ type: 'ready' }),
  (error: unknown) => {
    try {
      post({ type: 'failed', error: toPortable(error) });
    } catch (reason) {
      reportError(`${file} failed, and its error cannot be sent to the pool`, reason);
      process.exit(1);
    }
  },
);
