import * as all from './nest.cjs';
export * from './nest.cjs';
/** All of it as one object, for `import name from …`, as CommonJS packages have it. */
export default all;
