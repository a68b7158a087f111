import * as all from './index.cjs';
export * from './index.cjs';
/** All of it as one object, for `import name from …`, as CommonJS packages have it. */
export default all;
