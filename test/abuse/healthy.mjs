// A well-behaved client in a thread of its own, so that what it waits for is the server and never the attacker beside it.
// `WellBehaved` is the test's side of it; the rest of this module runs in the thread.
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';

/** How long an echo may take while others misbehave. */
export const PROMPT = 1000;

export class WellBehaved {
  constructor(url, { from = '127.0.0.1' } = {}) {
    this.waiting = new Map();
    this.asked = 0;
    this.thread = new Worker(fileURLToPath(import.meta.url), { workerData: { url, from } });
    this.thread.on('message', ({ n, error, ...result }) => {
      const { resolve, reject } = this.waiting.get(n);
      this.waiting.delete(n);
      if (error) reject(new Error(error));
      else resolve(result);
    });
    this.thread.on('error', (error) => this.waiting.forEach(({ reject }) => reject(error)));
  }

  ask(what) {
    const n = ++this.asked;
    return new Promise((resolve, reject) => {
      this.waiting.set(n, { resolve, reject });
      this.thread.postMessage({ n, what });
    });
  }

  /** One echo: { slowest } in milliseconds. */
  echo() {
    return this.ask('echo');
  }

  /** Echoes, one after the other, until `still` is called, which resolves to { count, slowest }. */
  async keepGoing() {
    await this.ask('go');
    return () => this.ask('still');
  }

  end() {
    return this.thread.terminate();
  }
}

if (!isMainThread) {
  const ws = new WebSocket(workerData.url, { localAddress: workerData.from, perMessageDeflate: false, rejectUnauthorized: false });
  const opened = new Promise((resolve, reject) => {
    ws.on('open', resolve);
    ws.on('error', (error) => reject(new Error(`the healthy client: ${error.message}`)));
    ws.on('close', (code) => reject(new Error(`the healthy client was closed with ${code}`)));
  });
  const lost = opened.then(() => new Promise((_, reject) => ws.on('close', (code) => reject(new Error(`the healthy client was closed with ${code}`)))));
  opened.catch(() => {});
  lost.catch(() => {});
  let number = 0;
  let going;

  const once = async () => {
    await opened;
    const text = `healthy ${++number}`;
    const began = performance.now();
    let late;
    const echo = new Promise((resolve, reject) => {
      ws.once('message', (data) => (data.toString() === text ? resolve() : reject(new Error(`an echo of ${text} was ${data}`))));
      late = setTimeout(() => reject(new Error(`no echo for the healthy client within ${15 * PROMPT} ms`)), 15 * PROMPT);
    });
    ws.send(text);
    await Promise.race([echo, lost]).finally(() => clearTimeout(late));
    return performance.now() - began;
  };

  const loop = async () => {
    const result = { count: 0, slowest: 0 };
    while (!going.over) {
      result.slowest = Math.max(result.slowest, await once());
      result.count++;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return result;
  };

  parentPort.on('message', async ({ n, what }) => {
    try {
      let result = {};
      if (what === 'echo') result = { slowest: await once() };
      if (what === 'go') {
        await opened;
        going = { over: false };
        going.done = loop();
        going.done.catch(() => {});
      }
      if (what === 'still') {
        going.over = true;
        result = await going.done;
      }
      parentPort.postMessage({ n, ...result });
    } catch (error) {
      parentPort.postMessage({ n, error: error.message });
    }
  });
}
