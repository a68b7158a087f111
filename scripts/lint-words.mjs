// One word for one thing: words that have been replaced do not come back, in code, comments, tests
// and documentation. CONTRIBUTING.md has the words that took their places.
//
//   node scripts/lint-words.mjs            fails if one is found, and says where
//   node scripts/lint-words.mjs --report   counts them by folder, and never fails

import { filesBelow, read } from './lint/sources.mjs';

/**
 * [what was said, what to say], whole words in any case. A realm of JavaScript is one still, so that
 * word is only looked for in the crates.
 */
const REPLACED = [
  ['realms?', 'namespace'],
  ['desks?', 'runner'],
  ['seats?', 'permit'],
  ['parcels?', 'what it is'],
  ['foundlings?', 'unassigned'],
  ['homeless', 'unassigned'],
  ['farewells?', 'what happens'],
  ['whoever', 'the one who, those who, or what is meant'],
  ['shall', 'must, or the present tense'],
  ['stands? for', 'represents, or is'],
  ['(?<!there )(?:is|are) none', 'there is no, or is not'],
  ['he|him|his', 'they'],
];

const SELF = 'scripts/lint-words.mjs';
const pattern = new RegExp(`(?<![\\w-])(?:${REPLACED.map(([word]) => `(${word})`).join('|')})(?![\\w-])`, 'giu');
/** Names in code too: `RealmId`, `seat_of`, `#desk`. */
const inNames = new RegExp(`(?:${['Realm', 'Desk', 'Seat', 'Parcel', 'Foundling', 'Farewell'].map((word) => `${word}(?![a-z])|(?<=_|\\b)${word.toLowerCase()}_|_${word.toLowerCase()}(?![a-z])`).join('|')})`, 'gu');

const files = [
  ...['bench', 'crates', 'docs', 'example', 'scripts', 'src', 'test'].flatMap((folder) => filesBelow(folder, /\.(rs|[cm]?[jt]s|md|sh|html)$/)),
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'],
  // Texts to compress, in benches, may say what they like.
].filter((file) => file !== SELF && !file.includes('/benches/') && !/\/(\.cache|\.out|target)\//.test(file));

const found = files.flatMap((file) =>
  read(file).split('\n').flatMap((line, index) => {
    const words = [...line.matchAll(pattern)].map((match) => ({ text: match[0], say: REPLACED[match.slice(1).findIndex((group) => group !== undefined)][1] }));
    const names = [...line.matchAll(inNames)].filter(({ 0: text }) => !words.some((word) => word.text === text)).map(({ 0: text }) => ({ text, say: 'see Words in CONTRIBUTING.md' }));
    return [...words, ...names].filter(({ text }) => file.startsWith('crates/') || !/realm/iu.test(text)).map((hit) => ({ ...hit, file, line: index + 1 }));
  }),
);

const report = process.argv.includes('--report');
console.log(`${files.length} files, ${found.length} words that have been replaced`);
if (report) {
  const counts = new Map();
  for (const { text, file } of found) {
    const folder = file.split('/').slice(0, file.startsWith('crates/') ? 3 : 1).join('/');
    const key = `${folder}: ${text.toLowerCase()}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  for (const [key, count] of [...counts].sort()) console.log(`  ${String(count).padStart(4)} ${key}`);
} else for (const { text, say, file, line } of found) console.log(`${file}:${line}: ${text} (say: ${say})`);
process.exit(found.length > 0 && !report ? 1 : 0);
