import { BroadcastChannel } from 'node:worker_threads';
import { builtins } from '../builtins.cjs';

/** The files that the threads of a pool have loaded, as they report them. */
export class ImportReports {
  /** The name of the channel on which they do. */
  readonly channel = `wsbroker imports ${builtins.crypto.randomUUID()}`;
  readonly files = new Set<string>();
  /** Called for each file once. */
  onFile: ((file: string) => void) | undefined;
  readonly #channel: BroadcastChannel;

  constructor() {
    this.#channel = new BroadcastChannel(this.channel);
    this.#channel.onmessage = (event): void => {
      const { data } = event as { data: string };
      if (this.files.has(data)) return;
      this.files.add(data);
      this.onFile?.(data);
    };
    this.#channel.unref();
  }

  close(): void {
    this.#channel.close();
  }
}
