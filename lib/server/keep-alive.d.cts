/** What this thread keeps of a server that listens. */
export interface ListeningServer {
    /** Whether it keeps the process alive. */
    keepsAlive: boolean;
    /** Stops listening to the application's signal. */
    readonly forgetSignal: () => void;
    /** Closes the application's HTTP server behind it, if it has one. */
    readonly closeInner: () => Promise<void>;
}
/** The servers of this thread, by the addon's number of their listener. */
export declare const servers: Map<number, ListeningServer>;
/** Runs the task. The process does not exit by itself meanwhile. */
export declare function keepingAlive<T>(task: () => Promise<T>): Promise<T>;
export declare function hasTasks(): boolean;
/** To be called after a change of {@link servers}. */
export declare function updateKeepAlive(): void;
