// How many tests passed, failed and were skipped, read from the output of the test runners.

const sum = (text, pattern) => [...text.matchAll(pattern)].reduce((total, match) => total + Number(match[1]), 0);
const plain = (text) => text.replace(/\x1b\[[0-9;]*m/g, '');

/** `node --test --test-reporter=spec` (one summary per run). */
export function nodeCounts(output) {
  const text = plain(output);
  const of = (word) => sum(text, new RegExp(`^. ${word} (\\d+)$`, 'gm'));
  return { passed: of('pass'), failed: of('fail') + of('cancelled'), skipped: of('skipped') + of('todo') };
}

/** The files with a failure, as `node --test --test-reporter=spec` names them. */
export function failedFiles(output) {
  const text = plain(output);
  const listed = text.slice(text.lastIndexOf('failing tests:'));
  return [...new Set([...listed.matchAll(/^test at (.+\.[cm]?js):\d+:\d+$/gm)].map(([, file]) => file))];
}

/** `bun test`. */
export function bunCounts(output) {
  const text = plain(output);
  const of = (word) => sum(text, new RegExp(`^ *(\\d+) ${word}$`, 'gm'));
  return { passed: of('pass'), failed: of('fail'), skipped: of('skip') + of('todo') };
}

/** `cargo nextest run`. */
export function nextestCounts(output) {
  const summary = /^ *Summary .*$/m.exec(plain(output))?.[0] ?? '';
  const of = (word) => sum(summary, new RegExp(`(\\d+) ${word}`, 'g'));
  return { passed: of('passed'), failed: of('failed') + of('timed out'), skipped: of('skipped') };
}

/** `cargo test`, also of several crates. */
export function cargoCounts(output) {
  const lines = plain(output).match(/^test result: .*$/gm)?.join('\n') ?? '';
  return { passed: sum(lines, /(\d+) passed/g), failed: sum(lines, /(\d+) failed/g), skipped: sum(lines, /(\d+) ignored/g) };
}
