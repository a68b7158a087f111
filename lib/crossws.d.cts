/**
 * Hooks of crossws on the threads of wsbroker, and with them what is written for crossws: h3,
 * Nitro, graphql-ws, Hocuspocus.
 *
 * @packageDocumentation
 */
export { WSBrokerError, type WSBrokerErrorCode } from './errors.cjs';
export { topicChannel } from './crossws/topics.cjs';
export { crosswsWorker, type CrosswsWorker } from './crossws/worker.cjs';
export type { CrosswsOptions } from './crossws/options.cjs';
