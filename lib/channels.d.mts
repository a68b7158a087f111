import * as all from './channels.cjs';
export * from './channels.cjs';
/** All of it as one object, for `import name from …`, as CommonJS packages have it. */
export default all;
