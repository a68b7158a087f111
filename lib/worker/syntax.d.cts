/**
 * What Bun's compiler says, as a `SyntaxError` with all of it in its message; every other error as
 * it is.
 */
export declare function readable(error: unknown): unknown;
/**
 * More about a module that did not load, on lines of its own: where its syntax is wrong, and what
 * to do. '' if there is nothing to say.
 */
export declare function moreAbout(file: string, error: unknown): Promise<string>;
