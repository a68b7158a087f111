// The page: what the user does goes to the server, what the server says goes to the rooms, and the
// view draws them. `wsbroker/client` keeps the connection, brings what was missed meanwhile, and
// says when something is gone.

import { connect } from './wsbroker/client.mjs';
import { webSocketUrl } from './config.js';
import { nameDialog, roomPicker } from './dialogs.js';
import { closeDrawers } from './frame.js';
import { Room, roomNameOf } from './rooms.js';
import { store, stored } from './storage.js';
import {
  $, addressOf, drawEntries, drawPeople, drawRooms, drawSeconds, drawStatus, drawTyping, isAtEnd, paintAvatar, scrollToEnd,
  sentence, showJump, toast,
} from './view.js';

const LOBBY = 'lobby';
const TYPING_EVERY = 2_000;

/** 32 random hexadecimal digits. `crypto.randomUUID` would be nicer but is missing on http:// in a local network. */
const randomKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

function guestName() {
  const pick = (words) => words[crypto.getRandomValues(new Uint32Array(1))[0] % words.length];
  const manner = pick(['Amber', 'Brisk', 'Calm', 'Clever', 'Gentle', 'Jolly', 'Keen', 'Lucky', 'Merry', 'Nimble', 'Quiet', 'Sunny', 'Swift', 'Witty']);
  const animal = pick(['Badger', 'Crane', 'Finch', 'Fox', 'Hare', 'Heron', 'Lark', 'Lynx', 'Marten', 'Otter', 'Owl', 'Robin', 'Seal', 'Wren']);
  return `${manner} ${animal}`;
}

// ---- State

const isName = (value) => typeof value === 'string' && value.trim() !== '' && value.length <= 24;
/**
 * `wanted` is what we ask for at each connection; `name` is what the server gave: "Ada 2" if there
 * is already an Ada.
 */
const me = { id: undefined, wanted: isName(stored.name) ? stored.name : guestName(), name: '' };
/**
 * Identifies the page to the server after a broken connection. Each page has its own, so that two
 * tabs are two people.
 */
const session = randomKey();
/** Ids of what this page wrote, to recognize our own texts when they come back. */
const mine = new Set();
const limits = { name: 24, room: 32, text: 2000 };
/** @type {Map<string, Room>} in the order in which they were joined, the lobby first */
const rooms = new Map();
let active;
let lastTyping = 0;
let unseenBelow = 0;

const client = connect(webSocketUrl, {
  token: () => JSON.stringify({ session, name: me.wanted }),
  backoff: { max: 10_000 },
});

/** What is not worth repeating when the connection breaks. */
const tell = (request) => client.request(request, { timeout: 2_000 }).catch(() => {});

// ---- Rooms

function roomNamed(name) {
  let room = rooms.get(name);
  if (!room) {
    room = new Room(name);
    rooms.set(name, room);
    enter(room);
  }
  return room;
}

/** Both channels of a room, from now on and after each reconnect. */
function enter(room) {
  const { name } = room;
  client.subscribe(`here:${name}`, {
    async getState() {
      room.setPeople(await client.request({ type: 'people', room: name }));
      changed(room);
    },
    onMessage: ({ data }) => hearNews(room, JSON.parse(data)),
    onEnd: () => drop(name),
  });
  client.subscribe(`room:${name}`, {
    /** At the start, and when messages are gone. */
    async getState() {
      const messages = await client.request({ type: 'newest', room: name });
      let fresh = 0;
      for (const message of messages) fresh += hear(room, message);
      // What was said before we first joined is not unread; what was said while we were away is.
      if (room.hasHistory && !isSeen(room)) room.unread += fresh;
      room.hasHistory = true;
      changed(room);
    },
    onMessage: ({ data }) => hearMessage(room, JSON.parse(data)),
    onLost() {
      room.noteGap();
      changed(room);
    },
  });
}

/** Shows a room; joins it first if we are not in it. */
function show(name) {
  const isNew = !rooms.has(name);
  const room = roomNamed(name);
  if (isNew) saveRooms();
  if (active) active.draft = $('text').value;
  active = room;
  active.unread = 0;
  unseenBelow = 0;
  if (location.hash !== addressOf(name)) history.replaceState(null, '', addressOf(name));
  $('room-name').textContent = `#${name}`;
  $('text').value = room.draft;
  $('text').placeholder = `Message #${name}`;
  fitText();
  closeDrawers();
  // A screen reader should not read another conversation out from its beginning.
  $('log').setAttribute('aria-busy', 'true');
  drawAll({ toEnd: true });
  requestAnimationFrame(() => $('log').removeAttribute('aria-busy'));
}

function leave(name) {
  if (name === LOBBY || !rooms.has(name)) return;
  drop(name);
  tell({ type: 'leave', room: name });
}

function drop(name) {
  client.unsubscribe(`here:${name}`);
  client.unsubscribe(`room:${name}`);
  // There is no other room to show, even if the lobby is full.
  if (name === LOBBY || !rooms.has(name)) return;
  rooms.get(name).forgetPeople();
  rooms.delete(name);
  saveRooms();
  if (active.name === name) show(LOBBY);
  else drawRooms([...rooms.values()], active.name, LOBBY);
}

const saveRooms = () => store({ rooms: [...rooms.keys()] });

function drawAll(options) {
  drawRooms([...rooms.values()], active.name, LOBBY);
  drawPeople(active, me);
  drawTyping(active);
  drawEntries(active, options);
}

/** Whether the room is on the screen and the user is looking. */
const isSeen = (room) => room === active && document.visibilityState === 'visible';

// ---- What the server says

const hears = {
  welcome({ id, name, limits: theirs }) {
    me.id = id;
    Object.assign(limits, theirs);
    $('text').maxLength = limits.text;
    $('name').maxLength = limits.name;
    $('room').maxLength = limits.room;
    showMe(name);
  },

  refused: ({ reason }) => toast(sentence(reason)),
};

client.on('message', (message) => hears[message.type]?.(message));

function hearMessage(room, message) {
  const isNew = hear(room, message);
  room.stopTyping(message.from);
  if (isNew && !isSeen(room) && !mine.has(message.id)) room.unread += 1;
  changed(room);
  if (isNew && room === active && !isAtEnd()) showJump((unseenBelow += 1));
}

/** Returns 1 if the message is new on this page. */
function hear(room, message) {
  return Number(room.add({ ...message, mine: mine.has(message.id), state: 'sent' }));
}

function hearNews(room, news) {
  if (news.type === 'typing') {
    room.startTyping(news.id, () => room === active && drawTyping(room));
    if (room === active) drawTyping(room);
  } else {
    room.changePeople(news);
    changed(room);
  }
}

function changed(room) {
  if (room === active) drawAll();
  else drawRooms([...rooms.values()], active.name, LOBBY);
}

let countdown;
client.on('state', ({ state, retryAt }) => {
  clearInterval(countdown);
  drawStatus(state);
  if (state !== 'waiting') return;
  drawSeconds(retryAt);
  countdown = setInterval(drawSeconds, 1_000, retryAt);
  for (const room of rooms.values()) room.forgetPeople();
  drawAll();
});

// A state that could not be read, because the connection broke meanwhile: it is read again.
client.on('error', (error) => console.warn(error));

// ---- Writing

function say(text) {
  const entry = { id: randomKey(), name: me.name, text, at: Date.now(), mine: true, state: 'pending' };
  mine.add(entry.id);
  active.add(entry);
  deliver(active, entry);
  drawEntries(active, { toEnd: true });
}

/**
 * Sends a text, or sends it again. Offline it waits, and after a broken connection the client
 * repeats it by itself: it has an id, so it is said once.
 */
function deliver(room, { id, text }) {
  client.publish(`room:${room.name}`, text, { id }).catch((error) => {
    const entry = room.known.get(id);
    if (entry?.state !== 'pending') return;
    room.add({ ...entry, state: 'failed' });
    changed(room);
    if (error.reason === 'error') toast(sentence(error.message));
  });
}

function fitText() {
  const text = $('text');
  text.style.height = 'auto';
  text.style.height = `${Math.min(text.scrollHeight, 180)}px`;
  const left = limits.text - text.value.length;
  $('counter').textContent = left < limits.text / 5 ? `${left}` : '';
}

$('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = $('text').value.trim();
  if (text === '') return;
  say(text);
  $('text').value = '';
  lastTyping = 0;
  fitText();
  $('text').focus();
});

$('text').addEventListener('keydown', (event) => {
  // While an input method composes a character, Enter belongs to it.
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $('composer').requestSubmit();
});

$('text').addEventListener('input', () => {
  fitText();
  if ($('text').value.trim() === '' || Date.now() - lastTyping < TYPING_EVERY) return;
  lastTyping = Date.now();
  if (client.state === 'open') tell({ type: 'typing', room: active.name });
});

// ---- Names and rooms to choose

function showMe(name) {
  me.name = name;
  $('me-name').textContent = name;
  paintAvatar($('me-avatar'), name);
}

nameDialog({
  current: () => me.name,
  async submit(wanted) {
    if (client.state !== 'open') throw new Error('you are offline, try again when the connection is back');
    const name = await client.request({ type: 'name', name: wanted });
    me.wanted = name;
    store({ name });
    showMe(name);
  },
});

roomPicker({
  ask: () => client.request({ type: 'rooms' }),
  choose(name) {
    show(name);
    $('text').focus();
  },
});

// ---- Everything else on the page

$('rooms').addEventListener('click', (event) => {
  const button = event.target.closest('[data-leave]');
  if (button) leave(button.dataset.leave);
});

$('entries').addEventListener('click', (event) => {
  const id = event.target.closest('[data-retry]')?.dataset.retry;
  const entry = id && active.known.get(id);
  if (!entry) return;
  active.add({ ...entry, state: 'pending' });
  deliver(active, entry);
  drawEntries(active);
});

$('log').addEventListener('scroll', () => {
  if (!isAtEnd()) {
    if ($('jump').hidden) showJump(unseenBelow);
    return;
  }
  unseenBelow = 0;
  $('jump').hidden = true;
}, { passive: true });
$('jump').addEventListener('click', () => {
  unseenBelow = 0;
  scrollToEnd();
  $('text').focus();
});
// The window or the keyboard of a phone changes the height: a reader at the end stays there.
new ResizeObserver(() => {
  if (unseenBelow === 0 && $('jump').hidden) scrollToEnd();
}).observe($('log'));

document.addEventListener('visibilitychange', () => {
  if (document.visibilityState !== 'visible') return;
  active.unread = 0;
  drawRooms([...rooms.values()], active.name, LOBBY);
});

addEventListener('keydown', (event) => {
  if (!event.altKey || (event.key !== 'ArrowUp' && event.key !== 'ArrowDown')) return;
  event.preventDefault();
  const names = [...rooms.keys()];
  const step = event.key === 'ArrowDown' ? 1 : -1;
  show(names[(names.indexOf(active.name) + step + names.length) % names.length]);
});

// ---- Start: the room in the address, the rooms of last time, the lobby

function roomInAddress() {
  try {
    return roomNameOf(decodeURIComponent(location.hash.replace(/^#\//u, '')));
  } catch {
    return undefined;
  }
}

addEventListener('hashchange', () => {
  const name = location.hash.startsWith('#/') ? roomInAddress() : undefined;
  if (name !== undefined && name !== active.name) show(name);
});

showMe(me.wanted);
const last = Array.isArray(stored.rooms) ? stored.rooms.map(roomNameOf).filter(Boolean) : [];
for (const name of [LOBBY, ...last]) roomNamed(name);
show(roomInAddress() ?? LOBBY);
