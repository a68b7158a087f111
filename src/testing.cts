/**
 * Servers and clients for tests: real handlers, real sockets, a free port.
 *
 * @packageDocumentation
 */

export { WSBrokerError, type WSBrokerErrorCode } from './errors.cjs';
export { TestClient, type TestClose, type TestHeaders, type WsSocket } from './testing/client.cjs';
export {
  type TestConnectOptions,
  type TestRefusal,
  type TestServer,
  testServer,
  type TestServerOptions,
} from './testing/server.cjs';
