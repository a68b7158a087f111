import { parseArgs } from 'node:util';
import { type Command, UsageError } from '../command.cjs';
import { Interval } from './interval.cjs';
import { Screen } from './screen.cjs';
import { type Scrape, scrape } from './scrape.cjs';
import { type Line, view } from './view.cjs';

// `wsbroker top`: what a server does, in the terminal.

/** The command. */
export const top: Command = {
  usage: 'URL [--interval SECONDS] [--once]',
  summary: 'shows connections, traffic, latency, slow sockets, workers and I/O threads of a server',
  details: [
    'URL is where the server answers with its metrics, such as http://127.0.0.1:8080/metrics. It',
    "needs the option answers: { '/metrics': 'metrics' }. Without a path, /metrics is asked for.",
    '',
    '  --interval SECONDS   how often to look, and the time that rates are of; default 2',
    '  --once               write one view to stdout after an interval, and end; this is also what',
    '                       happens where stdout is no terminal',
    '',
    'q ends it.',
  ],
  async run(args) {
    const { url, interval, once } = readArguments(args);
    const first = await scrape(url);
    if (once || !process.stdout.isTTY) return showOnce(url, interval, first);
    return show(url, interval, first);
  },
};

interface TopArguments {
  readonly url: URL;
  /** In milliseconds. */
  readonly interval: number;
  readonly once: boolean;
}

function readArguments(args: readonly string[]): TopArguments {
  const options = {
    interval: { type: 'string', default: '2' },
    once: { type: 'boolean', default: false },
  } as const;
  let parsed;
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  const { values, positionals } = parsed;
  const [address, ...more] = positionals;
  if (address === undefined) throw new UsageError('URL is missing');
  if (more.length > 0) throw new UsageError(`one URL is enough, got also ${more.join(' ')}`);
  const seconds = Number(values.interval);
  if (!(seconds >= 0.1 && seconds <= 3600)) {
    throw new UsageError(`--interval must be from 0.1 to 3600 seconds, got ${values.interval}`);
  }
  return { url: readUrl(address), interval: seconds * 1000, once: values.once };
}

function readUrl(address: string): URL {
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(address) ? address : `http://${address}`;
  let url;
  try {
    url = new URL(text);
  } catch {
    throw new UsageError(`URL must be such as http://127.0.0.1:8080/metrics, got ${address}`);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new UsageError(`URL must begin with http:// or https://, got ${address}`);
  }
  if (url.pathname === '/') url.pathname = '/metrics';
  return url;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function between(before: Scrape, now: Scrape): Interval {
  return new Interval(before.series, now.series, (now.at - before.at) / 1000);
}

async function showOnce(url: URL, interval: number, first: Scrape): Promise<number> {
  await pause(interval);
  const lines = view(between(first, await scrape(url)), url.href);
  process.stdout.write(`${lines.map(({ text }) => text.trimEnd()).join('\n').trimEnd()}\n`);
  return 0;
}

/** Until a key ends it. A server that does not answer may be back later. */
async function show(url: URL, interval: number, first: Scrape): Promise<number> {
  let quit = (): void => {};
  let running = true;
  const ended = new Promise<void>((resolve) => {
    quit = () => {
      running = false;
      resolve();
    };
  });
  const screen = new Screen(process.stdout, process.stdin, quit);
  process.once('SIGTERM', quit);
  process.once('SIGINT', quit);
  screen.open();
  try {
    let [before, now] = [first, first];
    screen.show([{ text: `${url.href}: wait for the first ${interval / 1000} s`, style: 'plain' }]);
    while (running) {
      await Promise.race([ended, pause(interval)]);
      if (!running) break;
      let trouble: string | undefined;
      try {
        [before, now] = [now, await scrape(url)];
      } catch (error) {
        trouble = (error as Error).message;
      }
      if (running) screen.show(lines(before, now, url, trouble));
    }
  } finally {
    screen.close();
    process.off('SIGTERM', quit);
    process.off('SIGINT', quit);
  }
  return 0;
}

function lines(before: Scrape, now: Scrape, url: URL, trouble: string | undefined): Line[] {
  if (before !== now) return view(between(before, now), url.href, trouble);
  return [{ text: `no new numbers: ${trouble ?? ''}`, style: 'alarm' }];
}
