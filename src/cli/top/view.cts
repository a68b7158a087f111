import type { Interval } from './interval.cjs';
import { formatAge, formatBytes, formatCount, formatPart, formatSeconds } from './numbers.cjs';

// What `top` shows: lines of text, from two scrapes.

/** A line, and how it is to be shown. */
export interface Line {
  readonly text: string;
  readonly style: 'plain' | 'heading' | 'alarm';
}

const plain = (text: string): Line => ({ text, style: 'plain' });
const heading = (text: string): Line => ({ text, style: 'heading' });
const alarm = (text: string): Line => ({ text, style: 'alarm' });

/** Cells in columns: the first to the left, the others to the right. */
function row(cells: readonly string[], first: number, others: number): string {
  const [head = '', ...rest] = cells;
  return head.padEnd(first) + rest.map((cell) => cell.padStart(others)).join('');
}

/**
 * The whole view.
 *
 * @param url where the numbers come from
 * @param trouble why the last scrape failed, if it did
 */
export function view(interval: Interval, url: string, trouble?: string): Line[] {
  return [
    ...header(interval, url, trouble),
    ...connections(interval),
    ...latency(interval),
    ...causes(interval),
    ...slowSockets(interval),
    ...workers(interval),
    ...ioThreads(interval),
    ...http(interval),
    ...bus(interval),
  ];
}

function header(all: Interval, url: string, trouble: string | undefined): Line[] {
  const [version = '?'] = all.values('wsbroker_build_info', 'version');
  const uptime = formatAge(all.value('wsbroker_uptime_seconds'));
  const lines = [heading(`wsbroker ${version}   ${url}   up ${uptime}   over ${all.seconds.toFixed(1)} s`)];
  if (trouble !== undefined) lines.push(alarm(`no new numbers: ${trouble}`));
  const of = (used: string, limit: string): string => {
    const [value, most] = [all.value(used), all.value(limit)];
    return `${formatBytes(value)} of ${formatBytes(most)}`;
  };
  const descriptors = [all.value('process_open_fds'), all.value('process_max_fds')].map(formatCount);
  lines.push(
    plain(
      `memory ${formatBytes(all.value('process_resident_memory_bytes'))}   ` +
        `CPU ${formatPart(all.rate('process_cpu_seconds_total'))}   ` +
        `descriptors ${descriptors.join(' of ')}`,
    ),
    plain(
      `send queue ${of('wsbroker_send_queue_bytes', 'wsbroker_send_queue_limit_bytes')}   ` +
        `unfinished messages ${of('wsbroker_receive_buffer_bytes', 'wsbroker_receive_buffer_limit_bytes')}`,
    ),
    plain(''),
  );
  return lines;
}

function connections(all: Interval): Line[] {
  const rate = (name: string): string => `${formatCount(all.rate(name))}/s`;
  const traffic = (title: string, name: string, write: (value: number | undefined) => string): string => {
    const [received, sent] = ['in', 'out'].map((direction) => all.rate(name, { direction }));
    return row([title, `${write(received)}/s`, `${write(sent)}/s`], 10, 14);
  };
  const left = [
    row(['CONNECTIONS', 'now', 'rate'], 14, 12),
    row(['open', formatCount(all.value('wsbroker_connections')), ''], 14, 12),
    row(['opening', formatCount(all.value('wsbroker_pending_upgrades')), rate('wsbroker_connections_opened_total')], 14, 12),
    row(['closed', '', rate('wsbroker_connections_closed_total')], 14, 12),
    row(['rejected', '', rate('wsbroker_rejects_total')], 14, 12),
    row(['channels', formatCount(all.value('wsbroker_channels')), ''], 14, 12),
    row(['slow', formatCount(all.value('wsbroker_slow_sockets')), ''], 14, 12),
  ];
  const right = [
    row(['TRAFFIC', 'in', 'out'], 10, 14),
    traffic('messages', 'wsbroker_messages_total', formatCount),
    traffic('payload', 'wsbroker_message_bytes_total', formatBytes),
    traffic('wire', 'wsbroker_wire_bytes_total', formatBytes),
    row(['dropped', '', rate('wsbroker_drops_total')], 10, 14),
    row(['subscriptions', formatCount(all.value('wsbroker_subscriptions'))], 14, 24),
  ];
  const lines = left.map((text, index) => `${text}   ${right[index] ?? ''}`);
  return [...lines.map((text, index) => (index === 0 ? heading(text) : plain(text))), plain('')];
}

function latency(all: Interval): Line[] {
  const line = (title: string, name: string, labels: Readonly<Record<string, string>> = {}): Line => {
    const [half, most] = [0.5, 0.99].map((part) => formatSeconds(all.quantile(part, name, labels)));
    return plain(row([title, half ?? '', most ?? '', `${formatCount(all.rate(`${name}_count`, labels))}/s`], 22, 12));
  };
  const handlers = all.values('wsbroker_handler_duration_seconds_count', 'handler');
  const busy = handlers.filter((handler) => (all.value('wsbroker_handler_duration_seconds_count', { handler }) ?? 0) > 0);
  return [
    heading(row(['LATENCY', 'p50', 'p99', 'measured'], 22, 12)),
    line('readable to handler', 'wsbroker_dispatch_delay_seconds'),
    ...busy.map((handler) => line(handler, 'wsbroker_handler_duration_seconds', { handler })),
    line('ping', 'wsbroker_ping_round_trip_seconds'),
    plain(''),
  ];
}

/** The causes that have occurred, those of the last interval first. */
function causes(all: Interval): Line[] {
  const lines = [heading(row(['CAUSES', 'rate', 'total'], 30, 12))];
  for (const [title, name] of [
    ['closed', 'wsbroker_closes_total'],
    ['rejected', 'wsbroker_rejects_total'],
    ['dropped', 'wsbroker_drops_total'],
  ] as const) {
    const found = all
      .values(name, 'cause')
      .map((cause) => ({ cause, total: all.value(name, { cause }) ?? 0, rate: all.rate(name, { cause }) ?? 0 }))
      .filter(({ total }) => total > 0)
      .sort((a, b) => b.rate - a.rate || b.total - a.total);
    for (const { cause, total, rate } of found) {
      lines.push(plain(row([`${title}: ${cause}`, `${formatCount(rate)}/s`, formatCount(total)], 30, 12)));
    }
  }
  return lines.length === 1 ? [] : [...lines, plain('')];
}

/** The worst, by rank. They are told by their ids: `info` says on the server who that is. */
function slowSockets(all: Interval): Line[] {
  const count = all.value('wsbroker_slow_sockets') ?? 0;
  if (count === 0) return [];
  const lines = all
    .values('wsbroker_slow_socket_id', 'rank')
    .map((rank) => ({ rank, id: all.value('wsbroker_slow_socket_id', { rank }) ?? 0 }))
    .filter(({ id }) => id > 0)
    .map(({ rank, id }) => {
      const cells = [
        String(id),
        formatBytes(all.value('wsbroker_slow_socket_send_queue_bytes', { rank })),
        formatAge(all.value('wsbroker_slow_socket_duration_seconds', { rank })),
        formatCount(all.value('wsbroker_slow_socket_dropped_messages', { rank })),
      ];
      return plain(row(cells, 18, 12));
    });
  const more = count - lines.length;
  if (more > 0) lines.push(plain(`and ${formatCount(more)} more`));
  return [heading(row(['SLOW SOCKET', 'send queue', 'for', 'dropped'], 18, 12)), ...lines, plain('')];
}

function workers(all: Interval): Line[] {
  const lines = all.values('wsbroker_worker_connections', 'worker').map((worker) => {
    const isStuck = all.value('wsbroker_worker_stuck', { worker }) === 1;
    const cells = [
      isStuck ? `${worker} STUCK` : worker,
      formatCount(all.value('wsbroker_worker_connections', { worker })),
      formatCount(all.value('wsbroker_worker_queue', { worker })),
      formatCount(all.value('wsbroker_worker_in_flight', { worker })),
      formatBytes(all.value('wsbroker_worker_in_flight_bytes', { worker })),
      `${formatCount(all.rate('wsbroker_worker_handled_total', { worker }))}/s`,
    ];
    return (isStuck ? alarm : plain)(row(cells, 12, 13));
  });
  const titles = ['WORKER', 'connections', 'queue', 'in flight', 'bytes', 'handled'];
  return [heading(row(titles, 12, 13)), ...lines, plain('')];
}

function ioThreads(all: Interval): Line[] {
  const turn = 'wsbroker_io_thread_turn_duration_seconds';
  const lines = all.values('wsbroker_io_thread_connections', 'thread').map((thread) => {
    const cells = [
      thread,
      formatCount(all.value('wsbroker_io_thread_connections', { thread })),
      formatBytes(all.value('wsbroker_io_thread_send_queue_bytes', { thread })),
      formatCount(all.value('wsbroker_io_thread_commands', { thread })),
      formatPart(all.rate(`${turn}_sum`, { thread })),
      formatSeconds(all.quantile(0.99, turn, { thread })),
    ];
    return plain(row(cells, 12, 13));
  });
  const titles = ['I/O THREAD', 'connections', 'send queue', 'commands', 'busy', 'p99 turn'];
  return [heading(row(titles, 12, 13)), ...lines, plain('')];
}

function http(all: Interval): Line[] {
  const name = 'wsbroker_http_requests_total';
  if ((all.value(name) ?? 0) === 0) return [];
  const outcomes = all.values(name, 'outcome').filter((outcome) => (all.value(name, { outcome }) ?? 0) > 0);
  const lines = outcomes.map((outcome) => {
    const [rate, total] = [all.rate(name, { outcome }), all.value(name, { outcome })];
    return plain(row([outcome, `${formatCount(rate)}/s`, formatCount(total)], 30, 12));
  });
  return [heading(row(['HTTP', 'rate', 'total'], 30, 12)), ...lines, plain('')];
}

function bus(all: Interval): Line[] {
  if (all.value('wsbroker_bus_joined') !== 1) return [];
  const isLost = all.value('wsbroker_bus_lost') === 1;
  const rate = (outcome: string): string => `${formatCount(all.rate('wsbroker_bus_messages_total', { outcome }))}/s`;
  const text =
    `${isLost ? 'LOST' : 'ready'}   ${formatCount(all.value('wsbroker_bus_instances'))} other instances   ` +
    `published ${rate('published')}   received ${rate('received')}   ` +
    `missing ${formatCount(all.value('wsbroker_bus_gaps_total'))}   ` +
    `lag ${formatSeconds(all.value('wsbroker_bus_lag_seconds'))}`;
  return [heading('BUS'), isLost ? alarm(text) : plain(text), plain('')];
}
