import { type Command } from './command.cjs';
/** `wsbroker dev`: a server whose workers are reloaded when their code changes. */
export declare const dev: Command;
