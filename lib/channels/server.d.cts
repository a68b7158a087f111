import type { WorkerInterface } from '../types/worker-interface.cjs';
import type { CheckedChannels } from './options.cjs';
/** The connections of one worker. */
export declare class ChannelsServer {
    #private;
    constructor(options: CheckedChannels);
    worker(): WorkerInterface;
}
