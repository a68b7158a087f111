/** Watches the modules of the pool there is, if it is to be watched and is not yet. */
export declare function watchModules(): void;
