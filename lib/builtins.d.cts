export declare const builtins: {
    readonly childProcess: typeof import('node:child_process');
    readonly crypto: typeof import('node:crypto');
    readonly http: typeof import('node:http');
    readonly https: typeof import('node:https');
    readonly net: typeof import('node:net');
    readonly os: typeof import('node:os');
    readonly tls: typeof import('node:tls');
};
