// A worker module as ESM, by names and as a default export.
import wsbroker, { send, sendToChannel, setToken, type OpenVerdict, type WorkerInterface } from 'wsbroker';

export async function handleOpen(socketId: number, ip: string, headers: Readonly<Record<string, string>>): Promise<OpenVerdict> {
  if (headers['authorization'] === undefined) return { status: 401, headers: { 'www-authenticate': 'Bearer' } };
  setToken(socketId, JSON.stringify({ ip }));
  return { protocol: 'v1', token: Buffer.from('x'), channels: ['all', new Uint8Array(2)] };
}

export const handleTextMessage = (text: string, socketId: number): number => send(socketId, text);

export default {
  handleOpen,
  handleTextMessage,
  handleBinaryMessage(bytes, socketId, token) {
    bytes.subarray(1).fill(0);
    const user: string | undefined = token?.toString();
    return sendToChannel(bytes, user ?? '', { exclude: [socketId] });
  },
  async handleClose(socketId, token, code, reason) {
    sendToChannel('all', `${socketId} ${token?.length ?? 0} ${code.toFixed()} ${reason.toUpperCase()}`);
  },
  handleDrain: (socketId) => void wsbroker.send(socketId, 'go on'),
  handleStart: async () => undefined,
  handleStop() {},
  onError(error, { handler, socketId }) {
    if (handler === 'handleOpen') console.error(socketId?.toFixed(), error instanceof Error ? error.stack : error);
  },
} satisfies WorkerInterface;

// What the module itself exports is one, too.
import * as self from './worker-esm.mjs';
self satisfies WorkerInterface;
