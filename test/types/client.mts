// `wsbroker/client`, as programs use it. It is compiled without the DOM, too.
import { type Client, ClientError, type ClientReceipt, type ClientState, connect, type Position, type Subscription } from 'wsbroker/client';

const client: Client = connect(new URL('wss://example.org/socket'), { token: async () => 't', backoff: { min: 1, max: 2, jitter: 0 } });
connect('/socket', { token: () => 't' });
// @ts-expect-error: a token is a string
connect('/socket', { token: () => 7 });
// @ts-expect-error: there is no such option
connect('/socket', { tokens: () => 't' });

const subscription: Subscription = client.subscribe('a', {
  onMessage: ({ channel, data, offset }) => {
    const text: string | Uint8Array = data;
    void [channel.length, offset + 1, text];
  },
  onLost: ({ position }) => void position.epoch,
  getState: async ({ signal, position }) => (signal.aborted ? undefined : position.offset),
  onEnd: (reason) => reason === 'forbidden',
  since: 'latest',
});
// @ts-expect-error: it is what a subscription is for
client.subscribe('a', {});
const position: Position | undefined = subscription.position;
client.unsubscribe('a');

const receipt: ClientReceipt = await client.publish('a', new Uint8Array(1), { id: 'i', timeout: 1 });
await client.publish('a', new ArrayBuffer(1));
// @ts-expect-error: text or bytes
await client.publish('a', 7);
const answer: unknown = await client.request({ a: 1 }, { timeout: 1 });
const state: ClientState = client.state;
const off: () => void = client.on('state', ({ state, retryAt, code, reason }) => void [state === 'open', retryAt, code, reason]);
// @ts-expect-error: there is no such event
client.on('open', () => undefined);
const reason = (error: unknown): boolean => error instanceof ClientError && error.reason === 'unknown';
void [position, receipt, answer, state, off, reason, client.close()];
