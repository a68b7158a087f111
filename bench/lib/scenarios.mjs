/** 4 KB of JSON, which compresses to about a third. */
const JSON_4K = ['--size', '4096', '--json'];

/**
 * What is measured. `load` are arguments of wsbroker-load; `env` goes to the server; `tls` and
 * `deflate` say what server and generator have between them; `measure` says by what:
 *
 * - `cpu`: processor time of the server per million messages received by the clients, everything on
 *   one CPU;
 * - `rate`: messages per second, on two CPUs;
 * - `latency`: from when a message was due to when the client had it, at half of the rate that
 *   Bun.serve reaches, on whatever CPUs there are;
 * - `memory`: private memory of the server per connection.
 */
export const SCENARIOS = [
  { name: 'echo', title: 'echo 64 B, depth 1', measure: 'cpu', load: ['echo', '--connections', '64'] },
  { name: 'echo-16', title: 'echo 64 B, depth 16', measure: 'cpu', load: ['echo', '--connections', '64', '--depth', '16'] },
  {
    name: 'echo-16-async',
    title: 'the same, async handler',
    measure: 'cpu',
    load: ['echo', '--connections', '64', '--depth', '16'],
    env: { BENCH_HANDLER: 'async' },
  },
  {
    name: 'echo-16-await',
    title: 'the same, reply after an await',
    measure: 'cpu',
    load: ['echo', '--connections', '64', '--depth', '16'],
    env: { BENCH_HANDLER: 'await' },
  },
  { name: 'echo-16k', title: 'echo 16 KiB binary', measure: 'cpu', load: ['echo', '--connections', '64', '--size', '16384', '--binary'] },
  { name: 'echo-1m', title: 'echo 1 MiB binary', measure: 'cpu', load: ['echo', '--connections', '8', '--size', '1048576', '--binary'] },
  { name: 'publish', title: 'publish to 1,000', measure: 'cpu', load: ['publish', '--connections', '1000'] },
  { name: 'publish-8', title: 'the same, 8 publishers', measure: 'cpu', load: ['publish', '--connections', '1000', '--publishers', '8'] },
  { name: 'publish-5000', title: 'publish to 5,000', measure: 'cpu', load: ['publish', '--connections', '5000'], optional: true },
  { name: 'rooms', title: '100 rooms of 10', measure: 'cpu', load: ['rooms', '--rooms', '100', '--members', '10'] },
  {
    name: 'work',
    title: 'echo, 50 us of work in the handler',
    measure: 'rate',
    load: ['echo', '--connections', '64', '--depth', '4'],
    env: { BENCH_WORK_MICROS: '50', BENCH_THREADS: '2' },
  },
  { name: 'latency', title: 'echo 64 B at half load', measure: 'latency', load: ['echo', '--connections', '64'] },
  { name: 'latency-publish', title: 'publish to 1,000 at half load', measure: 'latency', load: ['publish', '--connections', '1000'] },
  { name: 'idle', title: 'idle connection', measure: 'memory', load: ['idle', '--touch', '--sources', '4'], connections: 19_000 },
  { name: 'connect', title: 'connection: open, close', measure: 'cpu', load: ['connect', '--connections', '16', '--sources', '8'] },

  { name: 'tls-echo', title: 'wss: echo 64 B, depth 1', measure: 'cpu', tls: true, load: ['echo', '--connections', '64'] },
  { name: 'tls-echo-16', title: 'wss: echo 64 B, depth 16', measure: 'cpu', tls: true, load: ['echo', '--connections', '64', '--depth', '16'] },
  {
    name: 'tls-echo-16k',
    title: 'wss: echo 16 KiB binary',
    measure: 'cpu',
    tls: true,
    load: ['echo', '--connections', '64', '--size', '16384', '--binary'],
  },
  { name: 'tls-publish', title: 'wss: publish to 1,000', measure: 'cpu', tls: true, load: ['publish', '--connections', '1000'] },
  { name: 'tls-rooms', title: 'wss: 100 rooms of 10', measure: 'cpu', tls: true, load: ['rooms', '--rooms', '100', '--members', '10'] },
  { name: 'tls-connect', title: 'wss: connection: open, close', measure: 'cpu', tls: true, load: ['connect', '--connections', '16', '--sources', '8'] },
  {
    name: 'tls-idle',
    title: 'wss: idle connection',
    measure: 'memory',
    tls: true,
    load: ['idle', '--touch', '--sources', '4'],
    connections: 19_000,
  },

  { name: 'publish-4k', title: '4 KB JSON to 1,000, plain', measure: 'cpu', load: ['publish', '--connections', '1000', ...JSON_4K] },
  {
    name: 'deflate-publish',
    title: '4 KB JSON to 1,000, compressed',
    measure: 'cpu',
    deflate: true,
    load: ['publish', '--connections', '1000', ...JSON_4K, '--deflate'],
  },
  {
    name: 'deflate-echo',
    title: 'echo 4 KB JSON, compressed both ways',
    measure: 'cpu',
    deflate: true,
    load: ['echo', '--connections', '64', ...JSON_4K, '--compress'],
  },
];

/**
 * What a figure of each measure is, and how many digits of it mean something. With `parts` a run has
 * several.
 */
export const MEASURES = {
  cpu: { unit: 'server CPU seconds per million messages', better: 'less', digits: 2 },
  rate: { unit: 'messages per second, on two CPUs', better: 'more', digits: 0 },
  latency: { unit: 'microseconds', better: 'less', digits: 0, parts: ['p50', 'p99'] },
  memory: { unit: 'KiB of private server memory', better: 'less', digits: 2 },
};

/**
 * The scenarios with these names, in the order above; without names, all but the optional ones.
 * @param {string[]} names
 */
export function chooseScenarios(names) {
  const unknown = names.find((name) => !SCENARIOS.some((scenario) => scenario.name === name));
  if (unknown !== undefined) {
    throw new Error(`unknown scenario "${unknown}", expected one of ${SCENARIOS.map(({ name }) => name).join(', ')}`);
  }
  return SCENARIOS.filter(({ name, optional }) => (names.length === 0 ? !optional : names.includes(name)));
}
