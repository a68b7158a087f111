// Without @types/node and without the DOM: the declarations compile, and what a runtime has is told as far as it can be.
import { getToken, type PemSource, type WorkerInterface } from 'wsbroker';
import { ClientError, connect } from 'wsbroker/client';
import { Emitter } from 'wsbroker/emitter';
import { WebSocketServerHelper, type IWebSocketClient, type IWebSocketServerOptions } from 'wsbroker/server-helper';

/** True exactly when both are the same type. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Same<A, B>): void => undefined;

same<ReturnType<typeof getToken>, Uint8Array | undefined>(true);
same<IWebSocketClient['authTimer'], unknown>(true);
const key: PemSource = { href: 'file:///key.pem' };
const handlers: WorkerInterface = { handleBinaryMessage: (bytes) => bytes.byteLength };
const options = { identifier: 'app', redisConnection: 'redis://host', bind: '127.0.0.1:0', authenticateFn: () => null } satisfies IWebSocketServerOptions;
void [key, handlers, Emitter, new WebSocketServerHelper(options).getAddress()?.endpoint];

const client = connect('wss://example.org', { token: () => 't' });
client.subscribe('a', { onMessage: ({ data }) => data.length, getState: ({ signal }) => signal.aborted });
client.on('error', (error) => error instanceof ClientError);
