export * from './server-helper.cjs';
