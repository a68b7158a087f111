import type { ClientEvents } from './types.mjs';
export interface Listeners {
    on<Name extends keyof ClientEvents>(name: Name, listener: (detail: ClientEvents[Name]) => void): () => void;
    tell<Name extends keyof ClientEvents>(name: Name, detail: ClientEvents[Name]): void;
    /** Calls a function of the program. What it throws is told as an `error`, and nothing else. */
    call<Detail>(listener: ((detail: Detail) => unknown) | undefined, detail: Detail): void;
}
export declare function keepListeners(): Listeners;
