import { type Command } from './command.cjs';
type Commands = Readonly<Record<string, Command>>;
/**
 * Runs the program.
 *
 * @param args what follows the program's name
 * @returns the exit code: 0, 1 for a failure, 2 for wrong arguments
 */
export declare function runProgram(args: readonly string[], commands?: Commands): Promise<number>;
export {};
