import type { Native } from '../native.cjs';
/** The addon, with errors of this module's context. */
export declare function withErrorsOfThisContext(addon: Native): Native;
