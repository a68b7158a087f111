/**
 * @param channel the name of the channel for the reports
 * @returns to be called when the module has loaded, or has failed to
 */
export declare function reportImports(channel: string): () => void;
