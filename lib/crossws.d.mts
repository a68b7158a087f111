import * as all from './crossws.cjs';
export * from './crossws.cjs';
/** All of it as one object, for `import name from …`, as CommonJS packages have it. */
export default all;
