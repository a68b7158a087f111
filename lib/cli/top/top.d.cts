import { type Command } from '../command.cjs';
/** The command. */
export declare const top: Command;
