import type { Connection } from './connection.mjs';
import type { Control } from './frames.mjs';
export interface Calls {
    /** @throws {ClientError} */
    make<T>(id: string | number, text: string, timeout?: number): Promise<T>;
    /** Sends what may be sent, soon. */
    flush(): void;
    answered(message: Control): void;
    /** `refused`: one of them may have been the reason for which the server closed the connection. */
    down(refused: boolean): void;
    close(): void;
}
export declare function keepCalls(connection: Connection): Calls;
