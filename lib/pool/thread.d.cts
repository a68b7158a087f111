import './in-pool.cjs';
import threads = require('node:worker_threads');
import { type PortableError } from '../errors.cjs';
/** What the pool gives to a thread, as `workerData.wsbroker`. */
export interface WorkerStart {
    readonly file: string;
    readonly port: threads.MessagePort;
    /** The application's own data, which its module finds as `workerData`. */
    readonly workerData: unknown;
}
export type ToWorker = {
    readonly type: 'stop';
    readonly timeout: number;
};
export type FromWorker = {
    readonly type: 'loaded';
} | {
    readonly type: 'ready';
} | {
    readonly type: 'failed';
    readonly error: PortableError;
} | {
    readonly type: 'warning';
    readonly text: string;
};
