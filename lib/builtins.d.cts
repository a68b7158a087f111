export declare const builtins: {
    readonly childProcess: typeof import('node:child_process');
    readonly crypto: typeof import('node:crypto');
    readonly http: typeof import('node:http');
    readonly https: typeof import('node:https');
    readonly tls: typeof import('node:tls');
};
