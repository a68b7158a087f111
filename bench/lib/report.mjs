import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

import { MEASURES } from './scenarios.mjs';

/**
 * A run during which server and generator had less of their CPU than this was disturbed by other
 * processes.
 */
const UNDISTURBED = 0.9;

/**
 * The middle of the runs that went well, and their range; `undefined` when none did. With `parts`,
 * that of each part of their figures.
 * @param {{ figure?: number | Record<string, number>, busy?: number }[]} runs
 * @param {string[]} [parts]
 */
export function summarize(runs, parts) {
  if (parts !== undefined) {
    return Object.fromEntries(parts.map((part) => [part, summarize(runs.map(({ figure }) => ({ figure: figure?.[part] })))]));
  }
  const figures = runs.flatMap(({ figure }) => (figure === undefined ? [] : [figure])).sort((a, b) => a - b);
  if (figures.length === 0) {
    return undefined;
  }
  const middle = figures.length >> 1;
  const median = figures.length % 2 === 1 ? figures[middle] : (figures[middle - 1] + figures[middle]) / 2;
  const disturbed = runs.filter(({ busy }) => busy !== undefined && busy < UNDISTURBED).length;
  return { median, least: figures[0], most: figures.at(-1), runs: figures.length, disturbed };
}

/** The figure of one run, to be printed. */
export function told(figure, { digits, parts }) {
  return parts === undefined ? figure.toFixed(digits) : parts.map((part) => `${part} ${figure[part].toFixed(digits)}`).join(', ');
}

/**
 * One table for each measure: a row for each scenario, or for each part of its figures, and a column
 * for each peer.
 */
export function tables(scenarios, peers, summaries) {
  const text = [];
  for (const [measure, { unit, better, digits, parts = [undefined] }] of Object.entries(MEASURES)) {
    const rows = scenarios.filter((scenario) => scenario.measure === measure);
    if (rows.length > 0) {
      const head = [`${unit} (${better} is better)`, ...peers.map(({ title }) => title)];
      const body = rows.flatMap(({ name, title }) =>
        parts.map((part) => {
          const of = (peer) => (part === undefined ? summaries[name][peer] : summaries[name][peer]?.[part]);
          return [part === undefined ? title : `${title}, ${part}`, ...peers.map((peer) => cell(of(peer.name), digits, of('bun')))];
        }),
      );
      text.push(table([head, ...body]));
    }
  }
  return text.join('\n');
}

/** `bun` is the summary of Bun.serve, if that is compared. */
function cell(summary, digits, bun) {
  if (summary === undefined) {
    return 'failed';
  }
  const show = (value) => value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const range = summary.runs > 1 ? ` (${show(summary.least)}-${show(summary.most)})` : '';
  const ratio = bun === undefined || bun === summary ? '' : `, ${(summary.least / bun.least).toFixed(2)} and ${(summary.median / bun.median).toFixed(2)}`;
  return `${show(summary.median)}${range}${ratio}${summary.disturbed > 0 ? ' *' : ''}`;
}

/** The first row is the head. */
export function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const lines = rows.map((row) => `| ${row.map((text, i) => (i === 0 ? text.padEnd(widths[i]) : text.padStart(widths[i]))).join(' | ')} |`);
  const rule = `| ${widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return `${[lines[0], rule, ...lines.slice(1)].join('\n')}\n`;
}

export function writeResults(file, results) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${oneRunPerLine(results)}\n`);
}

/** JSON with a line for each run and each summary, so that files stay short and diffs show runs. */
function oneRunPerLine(value, indent = '') {
  const isGroup = typeof value === 'object' && value !== null && Object.values(value).some((inner) => typeof inner === 'object' && inner !== null);
  if (!isGroup || indent.length > 3 || 'load' in value) return JSON.stringify(value);
  const inner = `${indent} `;
  const parts = Object.entries(value).map(([name, item]) => `${inner}${Array.isArray(value) ? '' : `${JSON.stringify(name)}: `}${oneRunPerLine(item, inner)}`);
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  return `${open}\n${parts.join(',\n')}\n${indent}${close}`;
}
