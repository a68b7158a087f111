import './in-pool.cjs';
import threads = require('node:worker_threads');
import { type PortableError } from '../errors.cjs';
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
{
    readonly type: 'begin';
}
/** Others take its place: its connections leave it by themselves. */
 | {
    readonly type: 'supersede';
}
/** Ends after the events that have come and `handleStop`. */
 | {
    readonly type: 'stop';
    readonly timeout: number;
}
/** Ends after `handleStop`, and leaves the events that have come to others. */
 | {
    readonly type: 'leave';
    readonly timeout: number;
};
export type FromWorker = {
    readonly type: 'loaded';
} | {
    readonly type: 'ready';
} | {
    readonly type: 'begun';
}
/** How many clients of its helpers it has closed. */
 | {
    readonly type: 'closed';
    readonly clients: number;
}
/** It ends although its `handleStop` has not settled. */
 | {
    readonly type: 'unfinished';
} | {
    readonly type: 'failed';
    readonly error: PortableError;
} | {
    readonly type: 'warning';
    readonly text: string;
};
