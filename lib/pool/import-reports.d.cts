/** The files that the threads of a pool have loaded, as they report them. */
export declare class ImportReports {
    #private;
    /** The name of the channel on which they do. */
    readonly channel: string;
    readonly files: Set<string>;
    /** Called for each file once. */
    onFile: ((file: string) => void) | undefined;
    constructor();
    close(): void;
}
