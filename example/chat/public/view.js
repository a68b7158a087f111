// Draws what main.js and rooms.js know. Everything that users write goes in as text nodes (see
// dom.js).

import { el, icon, list } from './dom.js';

/** The room is in the address, so that it can be bookmarked and sent to a friend. */
export const addressOf = (room) => `#/${encodeURIComponent(room)}`;

export const $ = (id) => document.getElementById(id);

/** Texts by one person within this time appear together under one name. */
const TOGETHER = 5 * 60_000;
/** This close to the end, a reader follows the conversation. */
const NEAR = 80;

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const calendar = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const byName = new Intl.Collator(undefined, { sensitivity: 'base', numeric: true });

/**
 * A coloured disc with initials. The colour comes from the name, so that it is the same on every
 * page.
 */
export function avatar(name) {
  const disc = el('span', { class: 'avatar', 'aria-hidden': 'true' });
  paintAvatar(disc, name);
  return disc;
}

export function paintAvatar(disc, name) {
  let hash = 0;
  for (const character of name) hash = (hash * 31 + character.codePointAt(0)) >>> 0;
  disc.style.setProperty('--hue', `${(hash * 137) % 360}`);
  const words = name.split(/\s+/u).filter(Boolean);
  const initials = words.length > 1 ? [...words[0]][0] + [...words.at(-1)][0] : [...name].slice(0, 2).join('');
  disc.textContent = initials.toUpperCase();
}

export function drawRooms(rooms, activeName, lobby) {
  list($('rooms'), rooms, {
    key: (room) => room.name,
    version: (room) => [room.name === activeName, room.unread],
    draw: (room) => {
      const active = room.name === activeName;
      const link = el(
        'a', { href: addressOf(room.name), class: room.unread > 0 ? 'unread' : undefined, 'aria-current': active ? 'page' : undefined },
        el('span', { class: 'hash', 'aria-hidden': 'true' }, '#'), el('span', { class: 'label' }, room.name),
      );
      if (room.unread > 0) {
        link.append(el('span', { class: 'badge' }, room.unread > 99 ? '99+' : `${room.unread}`, el('span', { class: 'visually-hidden' }, ' unread')));
      }
      const item = el('li', {}, link);
      if (room.name !== lobby) {
        item.append(el('button', { type: 'button', class: 'icon leave', 'data-leave': room.name, 'aria-label': `Leave #${room.name}`, title: 'Leave this room' }, icon('close')));
      }
      return item;
    },
  });
  const unread = rooms.reduce((sum, room) => sum + room.unread, 0);
  document.title = `${unread > 0 ? `(${unread}) ` : ''}#${activeName} · Chat`;
  $('side-dot').hidden = unread === 0;
  $('open-side').setAttribute('aria-label', unread > 0 ? `Rooms, ${unread} unread` : 'Rooms');
}

export function drawPeople(room, me) {
  const people = [...(room.people ?? [])].sort(([idA, a], [idB, b]) => (idB === me.id) - (idA === me.id) || byName.compare(a, b));
  $('people-count').textContent = room.people ? `${people.length}` : '–';
  $('people-total').textContent = room.people ? `${people.length}` : '';
  $('people-none').hidden = room.people !== undefined;
  list($('people'), people, {
    key: ([id]) => id,
    version: ([id, name]) => [name, id === me.id],
    draw: ([id, name]) => el('li', {}, avatar(name), el('span', { class: 'label' }, name), ...(id === me.id ? [el('small', {}, 'you')] : [])),
  });
}

export function drawTyping(room) {
  const names = [...room.typing.keys()].map((id) => room.people?.get(id)).filter(Boolean);
  const line = $('typing');
  line.classList.toggle('on', names.length > 0);
  if (names.length === 0) line.replaceChildren();
  else {
    const who = names.length > 3 ? 'Several people are' : names.length === 1 ? `${names[0]} is` : `${names.slice(0, -1).join(', ')} and ${names.at(-1)} are`;
    line.replaceChildren(el('span', { class: 'dots', 'aria-hidden': 'true' }, el('i'), el('i'), el('i')), `${who} typing`);
  }
}

/**
 * Draws the conversation. Stays at the end if the reader was there. Otherwise the page stays where
 * they read, and the button that leads to the end says that something came.
 */
export function drawEntries(room, { toEnd = false } = {}) {
  const log = $('log');
  const follow = toEnd || log.scrollHeight - log.scrollTop - log.clientHeight < NEAR;
  const items = [];
  let before;
  for (const entry of room.entries) {
    const at = new Date(entry.at);
    const newDay = !before || new Date(before.at).toDateString() !== at.toDateString();
    const together = !newDay && !entry.note && !before.note && before.mine === entry.mine && before.name === entry.name && entry.at - before.at < TOGETHER;
    if (newDay) items.push({ id: `day-${at.toDateString()}-${entry.id}`, day: dayName(at) });
    items.push({ ...entry, together });
    before = entry;
  }
  // What follows decides whether a text is the last of its group, which shapes its corner.
  items.forEach((item, index) => {
    item.last = !items[index + 1]?.together;
  });
  if (!items.some(({ note, day }) => !note && !day)) items.unshift({ id: `start-${room.name}`, start: room.name });
  list($('entries'), items, {
    key: (item) => item.id,
    version: (item) => [item.state, item.together, item.last],
    draw: drawEntry,
  });
  if (follow) scrollToEnd();
  return follow;
}

export function scrollToEnd() {
  const log = $('log');
  log.scrollTop = log.scrollHeight;
  $('jump').hidden = true;
}

export function showJump(count) {
  $('jump').hidden = false;
  $('jump').lastElementChild.textContent = count > 0 ? `${count} new` : 'Latest';
}

export const isAtEnd = () => {
  const log = $('log');
  return log.scrollHeight - log.scrollTop - log.clientHeight < NEAR;
};

function drawEntry(item) {
  if (item.start !== undefined) {
    return el('li', { class: 'start' }, el('span', { class: 'start-mark', 'aria-hidden': 'true' }, '#'), el('strong', {}, `Welcome to #${item.start}`), el('span', {}, 'Nobody has said anything yet. Be the first.'));
  }
  if (item.day !== undefined) return el('li', { class: 'day' }, el('span', {}, item.day));
  if (item.note !== undefined) return el('li', { class: 'note' }, item.note);
  const time = el('time', { datetime: new Date(item.at).toISOString() }, clock.format(item.at));
  const bubble = el('div', { class: 'bubble' }, el('p', { class: 'words' }, ...linked(item.text)));
  if (item.state === 'pending') bubble.append(el('small', { class: 'fate' }, 'Sending…'));
  else if (item.state === 'failed') bubble.append(el('small', { class: 'fate' }, 'Not sent. ', el('button', { type: 'button', 'data-retry': item.id }, 'Try again')));
  const classes = ['entry', item.mine && 'mine', item.together && 'together', item.last && 'last', item.state].filter(Boolean).join(' ');
  const body = el('div', { class: 'body' });
  if (!item.together) body.append(el('p', { class: 'by' }, el('strong', { class: item.mine ? 'visually-hidden' : undefined }, item.mine ? 'You' : item.name), time));
  else bubble.title = time.textContent;
  body.append(bubble);
  return el('li', { class: classes }, ...(item.mine ? [] : [item.together ? el('span', { class: 'avatar-space' }) : avatar(item.name)]), body);
}

/**
 * Text with its web addresses as links. Only http and https: a `javascript:` address would be a
 * script.
 */
function linked(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(/\bhttps?:\/\/[^\s<>"']+[^\s<>"'.,:;!?)\]}]/gu)) {
    parts.push(text.slice(end, match.index), el('a', { href: match[0], target: '_blank', rel: 'noopener noreferrer nofollow' }, match[0]));
    end = match.index + match[0].length;
  }
  parts.push(text.slice(end));
  return parts.filter((part) => part !== '');
}

function dayName(date) {
  const today = new Date();
  if (date.toDateString() === today.toDateString()) return 'Today';
  today.setDate(today.getDate() - 1);
  return date.toDateString() === today.toDateString() ? 'Yesterday' : calendar.format(date);
}

/** The seconds until the next attempt are not read out: only the change of state is news. */
export function drawStatus(state) {
  document.documentElement.dataset.connection = state;
  $('status').replaceChildren(el('span', {}, { open: 'Connected', connecting: 'Connecting…', waiting: 'Offline' }[state]));
  $('me-state').textContent = { open: 'online', connecting: 'connecting', waiting: 'offline' }[state];
  if (state === 'waiting') $('status').append(el('span', { class: 'seconds', id: 'seconds', 'aria-hidden': 'true' }));
}

export function drawSeconds(retryAt) {
  $('seconds').textContent = `again in ${Math.max(1, Math.ceil((retryAt - Date.now()) / 1000))} s`;
}

/** What the server says, as a sentence. */
export const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

export function toast(text) {
  const box = el('p', { class: 'toast' }, text);
  $('toasts').append(box);
  setTimeout(() => box.remove(), 6_000);
}
