import './in-pool.cjs';
import { syncBuiltinESMExports } from 'node:module';
import threads = require('node:worker_threads');
import { toPortable, type PortableError } from '../errors.cjs';
import { loadWorker } from '../worker/modules.cjs';
import { currentRegistration, type Registration, thread } from '../worker/register.cjs';
import { reportError, warnings } from '../report.cjs';
import { reportImports } from './report-imports.cjs';

// The entry of the pool's threads. It communicates with src/pool/pool.cts over a port of its own,
// because the thread's usual port belongs to the application.

/** What the pool gives to a thread, as `workerData.wsbroker`. */
export interface WorkerStart {
  readonly file: string;
  readonly port: threads.MessagePort;
  /** The application's own data, which its module finds as `workerData`. */
  readonly workerData: unknown;
  /** It gets events only after `begin`. */
  readonly held: boolean;
  /** The channel on which it reports the files that it loads; `undefined`: it does not. */
  readonly imports: string | undefined;
}

export type ToWorker =
  /** Other threads are ready as well: events may come. */
  | { readonly type: 'begin' }
  /** Others take its place: its connections leave it by themselves. */
  | { readonly type: 'supersede' }
  /** Ends after the events that have come and `handleStop`. */
  | { readonly type: 'stop'; readonly timeout: number }
  /** Ends after `handleStop`, and leaves the events that have come to others. */
  | { readonly type: 'leave'; readonly timeout: number };

export type FromWorker =
  | { readonly type: 'loaded' }
  | { readonly type: 'ready' }
  | { readonly type: 'begun' }
  /** How many clients of its helpers it has closed. */
  | { readonly type: 'closed'; readonly clients: number }
  /** It ends although its `handleStop` has not settled. */
  | { readonly type: 'unfinished' }
  | { readonly type: 'failed'; readonly error: PortableError }
  | { readonly type: 'warning'; readonly text: string };

const { file, port, workerData, held, imports } = (threads.workerData as { wsbroker: WorkerStart }).wsbroker;
// For `require` and, with the second call, for `import`.
(threads as { workerData: unknown }).workerData = workerData;
syncBuiltinESMExports();
thread.held = held;

const post = (message: FromWorker): void => port.postMessage(message);
warnings.emit = (text) => post({ type: 'warning', text });

let superseded = false;

port.on('message', (message: ToWorker) => {
  switch (message.type) {
    case 'begin':
      thread.held = false;
      currentRegistration()?.begin();
      return post({ type: 'begun' });
    case 'supersede':
      superseded = true;
      for (const helper of thread.helpers) helper.stopAccepting();
      return;
    case 'stop':
      return void end((registration) => registration.stop(message.timeout));
    case 'leave':
      return void end((registration) => registration.leave(message.timeout));
  }
  message satisfies never;
});

async function end(stop: (registration: Registration) => Promise<boolean>): Promise<void> {
  if (superseded) {
    // Before `handleStop`, which may shut them down in another way.
    const left = await Promise.all([...thread.helpers].map((helper) => helper.leave()));
    post({ type: 'closed', clients: left.reduce((sum, clients) => sum + clients, 0) });
  }
  const registration = currentRegistration();
  if (registration !== undefined && !(await stop(registration))) post({ type: 'unfinished' });
  port.close();
  // Timers and sockets of the application's module would keep the thread alive for ever.
  process.exit(0);
}

// The thread that started this one has ended.
port.on('close', () => process.exit(0));

const reported = imports === undefined ? undefined : reportImports(imports);

loadWorker(file, 0, () => post({ type: 'loaded' }))
  .finally(() => reported?.())
  .then(
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
