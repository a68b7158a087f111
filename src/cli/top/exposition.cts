// Reads the text format of Prometheus (version 0.0.4), as far as wsbroker writes it.

/** One series: its labels and its value. */
export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** All series, by name. */
export type Exposition = ReadonlyMap<string, readonly Series[]>;

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? +(\S+)(?: +-?\d+)?$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)",? */g;
const ESCAPED: Readonly<Record<string, string>> = { n: '\n' };

/** Lines that are no series are passed over. */
export function parseExposition(text: string): Exposition {
  const all = new Map<string, Series[]>();
  for (const line of text.split('\n')) {
    const match = line.startsWith('#') ? null : LINE.exec(line.trimEnd());
    if (match === null) continue;
    const [, name = '', inner = '', number = ''] = match;
    const labels: Record<string, string> = {};
    for (const [, label = '', value = ''] of inner.matchAll(LABEL)) {
      labels[label] = value.replace(/\\(.)/g, (_, character: string) => ESCAPED[character] ?? character);
    }
    const list = all.get(name) ?? [];
    list.push({ labels, value: parseNumber(number) });
    all.set(name, list);
  }
  return all;
}

function parseNumber(text: string): number {
  if (text === '+Inf') return Infinity;
  if (text === '-Inf') return -Infinity;
  return Number(text);
}
