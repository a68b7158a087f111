import type { IRedisClientLike } from '../types.cjs';
import type { Bus, BusCounts, BusHost, BusRole } from './bus.cjs';
export declare class ClientBus implements Bus {
    #private;
    readonly form: string;
    readonly instanceWide = false;
    /**
     * Duplicates the parent, first for the publisher, then for the subscriber. Nothing else is done
     * with the parent.
     */
    constructor(parent: IRedisClientLike, role: BusRole, form: string);
    get publisherReady(): boolean;
    get subscriberReady(): boolean;
    connect(host: BusHost): Promise<void>;
    subscribe(): Promise<void>;
    publish(channel: string, text: string, failed: (error: unknown) => void): void;
    request(channel: string, text: string): Promise<void>;
    counts(): BusCounts;
    close(): Promise<void>;
}
