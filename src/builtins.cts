// Modules of Node that few threads need. Each is loaded by the first call that uses it: together
// they would take a megabyte of every worker.

export const builtins = {
  get childProcess(): typeof import('node:child_process') {
    return require('node:child_process') as typeof import('node:child_process');
  },
  get crypto(): typeof import('node:crypto') {
    return require('node:crypto') as typeof import('node:crypto');
  },
  get http(): typeof import('node:http') {
    return require('node:http') as typeof import('node:http');
  },
  get https(): typeof import('node:https') {
    return require('node:https') as typeof import('node:https');
  },
  get net(): typeof import('node:net') {
    return require('node:net') as typeof import('node:net');
  },
  get os(): typeof import('node:os') {
    return require('node:os') as typeof import('node:os');
  },
  get tls(): typeof import('node:tls') {
    return require('node:tls') as typeof import('node:tls');
  },
};
