/**
 * Turns messages of Bun's compiler into a `SyntaxError` that contains them. Other errors stay as
 * they are.
 */
export declare function readableError(error: unknown): unknown;
/**
 * More about a module that did not load, on separate lines: where its syntax is wrong, and what to
 * do. '' if there is nothing to add.
 */
export declare function explainLoadError(file: string, error: unknown): Promise<string>;
