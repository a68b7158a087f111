import * as all from './server-helper.cjs';

export * from './server-helper.cjs';
/** All of it as one object, for `import name from …`, as CommonJS packages have it. */
export default all;
