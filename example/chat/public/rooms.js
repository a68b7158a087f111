// What the page knows: rooms, who is in them, what was said. No DOM here: view.js draws it.

const MESSAGES_KEPT = 300;
const TYPING_SHOWN = 4_000;
/** In larger rooms, arrivals and departures would be noise: only the list shows them. */
const ANNOUNCED_UP_TO = 15;

/**
 * The canonical spelling of a room's name, or undefined if it is not a valid one. The server has
 * the same rule and decides.
 */
export function roomNameOf(input) {
  if (typeof input !== 'string') return undefined;
  const name = input.normalize('NFC').trim().toLowerCase().replace(/^#/u, '').replace(/\s+/gu, '-');
  return name.length <= 32 && /^[\p{L}\p{N}][\p{L}\p{M}\p{N}_-]*$/u.test(name) ? name : undefined;
}

export class Room {
  constructor(name) {
    this.name = name;
    /** id -> name; undefined until the server has sent the list. */
    this.people = undefined;
    /**
     * Oldest first: { id, from, name, text, at, mine, state } and notes { id, note, at }. state:
     * 'sent', 'pending' or 'failed'.
     */
    this.entries = [];
    this.unread = 0;
    this.draft = '';
    /** id -> timer of those who are typing. */
    this.typing = new Map();
    /** id -> entry */
    this.known = new Map();
    this.hasHistory = false;
  }

  /** The connection is lost: who is here is no longer known. What was said stays on the page. */
  forgetPeople() {
    this.people = undefined;
    for (const timer of this.typing.values()) clearTimeout(timer);
    this.typing.clear();
  }

  setPeople(people) {
    this.people = new Map(people.map(({ id, name }) => [id, name]));
  }

  /**
   * Somebody came, left, or has another name. The list may have it already: each step describes a
   * state, not a change, so twice is as good as once.
   */
  changePeople({ type, id, name }) {
    // The connection is lost, and this came just before.
    if (!this.people) return;
    const before = this.people.get(id);
    if (type === 'left') {
      this.people.delete(id);
      this.stopTyping(id);
      if (before !== undefined) this.#note(`${before} left`);
    } else {
      this.people.set(id, name);
      if (before === undefined) this.#note(`${name} joined`);
      else if (before !== name) this.#note(`${before} is now ${name}`);
    }
  }

  #note(text) {
    if (this.people.size <= ANNOUNCED_UP_TO) this.add({ id: `note-${(notes += 1)}`, note: text, at: Date.now() });
  }

  /** What was said behind the last text that we have may be gone. */
  noteGap() {
    const last = this.entries.findLast(({ state }) => state === 'sent');
    this.add({ id: `note-${(notes += 1)}`, note: 'Some messages may be missing here', at: last?.at ?? Date.now() });
  }

  /**
   * Adds an entry at its position by time, or updates the one of that id. Returns true if it is
   * new.
   */
  add(entry) {
    const known = this.known.get(entry.id);
    if (known) {
      // The server's version of a pending text replaces ours; a repetition changes nothing.
      if (known.state === 'sent' || known.note) return false;
      this.entries.splice(this.entries.indexOf(known), 1);
      entry = { ...known, ...entry };
    }
    let index = this.entries.length;
    while (index > 0 && order(this.entries[index - 1]) > order(entry)) index -= 1;
    this.entries.splice(index, 0, entry);
    this.known.set(entry.id, entry);
    if (this.entries.length > MESSAGES_KEPT) this.known.delete(this.entries.shift().id);
    return !known;
  }

  startTyping(id, changed) {
    this.stopTyping(id);
    this.typing.set(id, setTimeout(() => {
      this.typing.delete(id);
      changed();
    }, TYPING_SHOWN));
  }

  stopTyping(id) {
    clearTimeout(this.typing.get(id));
    this.typing.delete(id);
  }
}

let notes = 0;

/** What is not sent yet comes last, whatever this machine's clock says. */
const order = ({ state, at }) => (state === undefined || state === 'sent' ? at : Infinity);
