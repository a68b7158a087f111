import type { ReadStream, WriteStream } from 'node:tty';
import type { Line } from './view.cjs';
/** Draws over what it has drawn before. */
export declare class Screen {
    #private;
    readonly output: WriteStream;
    readonly input: ReadStream;
    readonly onQuit: () => void;
    /** @param onQuit called at `q`, Ctrl-C and Ctrl-D */
    constructor(output: WriteStream, input: ReadStream, onQuit: () => void);
    open(): void;
    /** Leaves the terminal as it was. */
    close(): void;
    show(lines: readonly Line[]): void;
}
