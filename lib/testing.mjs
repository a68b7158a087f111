import * as all from './testing.cjs';
export * from './testing.cjs';
/** All of it as one object, for `import name from …`, as CommonJS packages have it. */
export default all;
