export * from './emitter.cjs';
