// What of the end-to-end suite runs on Wine. Everything does unless it is named here, so a new file
// is tried there without anybody thinking of it.

/**
 * Continuous integration has three minutes for Wine, with its system and the addon: sockets that are
 * read no more, the order of everything, what threads do, and how a process ends.
 */
export const ON_WINE = ['drain', 'limits', 'limits-sockets', 'order', 'shutdown', 'workers'];

/** Files that are not run, and why. */
const FILES = {
  descriptors: 'Windows has no ulimit',
  suspended: 'Windows has no SIGSTOP',
  'example-cluster': 'there is no Redis for Wine',
  'example-drain': 'Windows has no SIGTERM that a process could answer',
};
/** Single tests that are not run, by how their names begin, and why. */
const TESTS = {
  'killed, with Redis': 'there is no Redis for Wine',
};

/** Of these files those that run on Wine. */
export const onWine = (files) => files.filter((name) => !(name in FILES));

/** Options for Node's test runner that leave those tests out. */
export const withoutTests = () => Object.keys(TESTS).map((start) => `--test-skip-pattern=^${start}`);

/** All that never runs there, one line each. */
export const exclusions = () => [
  ...Object.entries(FILES).map(([name, why]) => `never on Wine: ${name}: ${why}`),
  ...Object.entries(TESTS).map(([start, why]) => `never on Wine: "${start} …": ${why}`),
];

/** Names above that no file has. */
export const unknown = (files) => [...ON_WINE, ...Object.keys(FILES)].filter((name) => !files.includes(name));
