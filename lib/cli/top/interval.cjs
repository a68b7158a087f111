"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Interval = void 0;
/** Two scrapes, and what has happened between them. */
class Interval {
    before;
    now;
    seconds;
    /**
     * @param before an earlier scrape
     * @param now the last scrape
     * @param seconds the time between them
     */
    constructor(before, now, seconds) {
        this.before = before;
        this.now = now;
        this.seconds = seconds;
    }
    /** The sum of the series with these labels now; `undefined` if there is none. */
    value(name, labels = {}) {
        return sum(this.now, name, labels);
    }
    /** By how much it grows in a second. After a restart, which begins at zero, since then. */
    rate(name, labels = {}) {
        const grown = this.growth(name, labels);
        return grown === undefined ? undefined : grown / this.seconds;
    }
    /** By how much it has grown. */
    growth(name, labels = {}) {
        const [before, now] = [sum(this.before, name, labels), sum(this.now, name, labels)];
        if (now === undefined)
            return undefined;
        return before === undefined || before > now ? now : now - before;
    }
    /** The values of a label, in the order in which they come. */
    values(name, label) {
        const found = (this.now.get(name) ?? []).map(({ labels }) => labels[label]);
        return [...new Set(found.filter((value) => value !== undefined))];
    }
    /**
     * The value that this part of those between the two scrapes did not exceed, as
     * `histogram_quantile` estimates it. `undefined`: there were none.
     */
    quantile(part, name, labels = {}) {
        const bucket = `${name}_bucket`;
        const bounds = this.values(bucket, 'le').map((le) => ({
            bound: le === '+Inf' ? Infinity : Number(le),
            count: this.growth(bucket, { ...labels, le }) ?? 0,
        }));
        const all = bounds.at(-1)?.count ?? 0;
        if (all === 0)
            return undefined;
        const wanted = part * all;
        const at = bounds.findIndex(({ count }) => count >= wanted);
        const [under, over] = [bounds[at - 1] ?? { bound: 0, count: 0 }, bounds[at]];
        if (over === undefined || over.bound === Infinity)
            return under.bound;
        const inBucket = over.count - under.count;
        const share = inBucket === 0 ? 1 : (wanted - under.count) / inBucket;
        return under.bound + (over.bound - under.bound) * share;
    }
}
exports.Interval = Interval;
function sum(all, name, labels) {
    const matches = (series) => Object.entries(labels).every(([label, value]) => series.labels[label] === value);
    const found = all.get(name)?.filter(matches);
    if (found === undefined || found.length === 0)
        return undefined;
    return found.reduce((total, { value }) => total + value, 0);
}
