import * as all from './emitter.cjs';

export * from './emitter.cjs';
/** All of it as one object, for `import name from …`, as CommonJS packages have it. */
export default all;
