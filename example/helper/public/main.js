// What the page does: signs in, joins rooms, writes to users. view.js draws it, secure.mjs encrypts
// it.

import { Connection } from './connection.js';
import { isPossible } from './secure.mjs';
import { $, drawConversation, drawFrame, drawLists, drawState, showAnnouncement } from './view.js';

const MOST_ENTRIES = 200;

/**
 * Key of a conversation -> { key, kind: 'room' | 'direct', name, entries, unread, people? }. Rooms
 * are `#lobby`, people `@Ada`.
 */
const conversations = new Map();
let me;
let connection;
let current;
let config;
/** Rooms that we want to be in, even after a connection was lost. */
const wanted = new Set(['lobby']);

function conversation(kind, name) {
  const key = `${kind === 'room' ? '#' : '@'}${name}`;
  if (!conversations.has(key)) conversations.set(key, { key, kind, name, entries: [], unread: 0 });
  return conversations.get(key);
}

const ask = async (path, options) => {
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
};

/**
 * A ticket is valid for half a minute, so each connection gets one. With passwords, a session would
 * be renewed here.
 */
async function prepare() {
  const [{ port, path, heartbeat }, { ticket }] = await Promise.all([
    ask('/config.json'),
    ask('/login', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name: me }) }),
  ]);
  return { url: `${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.hostname}:${port}${path}`, ticket, heartbeat };
}

// ---- Receiving

const heard = {
  people({ room, people }) {
    conversation('room', room).people = people;
  },
  said({ room, from, text, at }) {
    add(conversation('room', room), { from, text, at });
  },
  direct({ from, to, text, at }) {
    add(conversation('direct', from === me ? to : from), { from, text, at });
  },
  announcement({ text, from, pid, at }) {
    showAnnouncement({ text, from, pid, at });
  },
  refused({ room }) {
    wanted.delete(room);
    conversation('room', room).people = undefined;
    add(conversation('room', room), { note: 'You may not enter this room.' });
  },
  problem({ text }) {
    add(current, { note: text });
  },
  error({ message }) {
    add(current, { note: `The server says: ${message}` });
  },
};

function add(where, entry) {
  where.entries.push(entry);
  if (where.entries.length > MOST_ENTRIES) where.entries.shift();
  if (where !== current) where.unread += 1;
}

function enter(room) {
  wanted.add(room);
  // The helper joins the room if we may enter it, but does not answer. So we ask, and get the list
  // of who is there, or a refusal.
  connection.sendClear('join', { rooms: [room] });
  connection.send('enter', { room });
}

function connectAs() {
  connection = new Connection(prepare);
  connection.addEventListener('state', ({ detail: { state, retryAt } }) => {
    drawState(state, retryAt, () => connection.retry());
    // Without a connection we do not know who is where, and a new one is in no room at first.
    for (const each of conversations.values()) each.people = undefined;
    if (state === 'open') for (const room of wanted) enter(room);
    draw();
  });
  connection.addEventListener('message', ({ detail: { event, data } }) => {
    if (!Object.hasOwn(heard, event)) return;
    heard[event](data);
    draw();
  });
  connection.addEventListener('missed', ({ detail }) => {
    add(current, { note: `${detail} ${detail === 1 ? 'message was' : 'messages were'} lost: this page was too slow.` });
    draw();
  });
  connection.addEventListener('frame', ({ detail }) => drawFrame(detail));
  connection.addEventListener('refused', () => showLogin('The server did not accept the ticket. Enter once more.'));
  connection.connect();
}

// ---- Actions of the user

function open(key) {
  current = conversations.get(key);
  current.unread = 0;
  if (current.kind === 'room' && !current.people) enter(current.name);
  draw();
  $('text').focus();
}

function draw() {
  drawLists([...conversations.values()], current, wanted, config.rooms);
  drawConversation(current, me);
}

function showLogin(problem) {
  connection?.close();
  connection = undefined;
  $('inside').hidden = true;
  $('login').hidden = false;
  $('problem').textContent = problem;
  $('frames').replaceChildren();
  $('announcement').hidden = true;
  $('name').focus();
}

$('login').addEventListener('submit', async (event) => {
  event.preventDefault();
  try {
    config = await ask('/config.json');
    // The server decides how a name is spelt.
    me = (await ask('/login', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name: $('name').value }) })).name;
  } catch (error) {
    $('problem').textContent = error.message;
    return;
  }
  conversations.clear();
  for (const { name } of config.rooms) conversation('room', name);
  current = conversation('room', 'lobby');
  $('me').textContent = me;
  $('problem').textContent = '';
  $('login').hidden = true;
  $('inside').hidden = false;
  connectAs();
  $('text').focus();
});

for (const list of ['rooms', 'directs']) {
  $(list).addEventListener('click', ({ target }) => {
    const button = target.closest('button');
    if (!button) return;
    if (button.dataset.exit) {
      wanted.delete(button.dataset.exit);
      conversation('room', button.dataset.exit).people = undefined;
      connection.send('exit', { room: button.dataset.exit });
      if (current.name === button.dataset.exit) current = conversation('room', 'lobby');
      draw();
    } else open(button.dataset.key);
  });
}

$('start-direct').addEventListener('submit', (event) => {
  event.preventDefault();
  const name = $('somebody').value.trim();
  $('somebody').value = '';
  if (name !== '') open(conversation('direct', name).key);
});

$('write').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = $('text').value;
  if (text.trim() === '') return;
  const sent = current.kind === 'room' ? connection.send('say', { room: current.name, text }) : connection.send('direct', { to: current.name, text });
  // A text that was not sent stays in the box.
  if (sent) $('text').value = '';
});

$('open-announce').addEventListener('click', () => $('announce').showModal());
$('close-announce').addEventListener('click', () => $('announce').close());
$('announce').addEventListener('submit', (event) => {
  event.preventDefault();
  if (connection.send('announce', { text: $('announce-text').value })) $('announce-text').value = '';
  $('announce').close();
});

$('leave').addEventListener('click', () => showLogin(''));

if (!isPossible()) {
  $('problem').textContent = 'This browser offers its cryptography only to pages that came by https or from this machine.';
  $('login').querySelector('button').disabled = true;
}
