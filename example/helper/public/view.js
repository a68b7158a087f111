// Draws what main.js knows. What users write is inserted as text, never as markup.

export const $ = (id) => document.getElementById(id);

const MOST_FRAMES = 60;
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });

function el(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

let timer;

export function drawState(state, retryAt, retry) {
  clearInterval(timer);
  document.documentElement.dataset.connection = state;
  const text = el('span', {}, { open: 'Connected, encrypted', connecting: 'Connecting …', waiting: 'Offline' }[state]);
  $('state').replaceChildren(text);
  if (state !== 'waiting') return;
  const seconds = el('span', { 'aria-hidden': 'true' });
  const button = el('button', { type: 'button', class: 'plain' }, 'Try now');
  button.addEventListener('click', retry);
  const tell = () => (seconds.textContent = `, again in ${Math.max(1, Math.ceil((retryAt - Date.now()) / 1000))} s`);
  tell();
  timer = setInterval(tell, 500);
  $('state').append(seconds, ' ', button);
}

/** Redraws only when something changed, so that the focus stays in place. */
const drawn = {};
function redraw(id, version, make) {
  if (drawn[id] === version) return;
  drawn[id] = version;
  const focused = document.activeElement?.closest(`#${id} button`)?.dataset.key;
  $(id).replaceChildren(...make());
  if (focused !== undefined) [...$(id).querySelectorAll('button')].find(({ dataset }) => dataset.key === focused)?.focus();
}

export function drawLists(conversations, current, wanted, rooms) {
  const lists = { rooms: conversations.filter(({ kind }) => kind === 'room'), directs: conversations.filter(({ kind }) => kind === 'direct') };
  for (const [id, list] of Object.entries(lists)) {
    const version = JSON.stringify(list.map(({ key, unread, people }) => [key, unread, key === current.key, people !== undefined]));
    redraw(id, version, () => list.map((item) => entryOf(item, current, rooms)));
  }
  const unread = conversations.reduce((sum, item) => sum + item.unread, 0);
  document.title = `${unread > 0 ? `(${unread}) ` : ''}${current.key} · Rooms`;
}

function entryOf({ key, kind, name, unread, people }, current, rooms) {
  const button = el('button', { type: 'button', 'data-key': key, 'aria-current': key === current.key ? 'true' : undefined }, el('span', { class: 'label' }, key));
  button.classList.toggle('outside', kind === 'room' && people === undefined);
  if (rooms.find((room) => room.name === name)?.members) button.append(el('small', {}, 'members'));
  if (unread > 0) button.append(el('span', { class: 'badge' }, `${unread}`, el('span', { class: 'visually-hidden' }, ' unread')));
  const item = el('li', {}, button);
  if (people !== undefined && name !== 'lobby') item.append(el('button', { type: 'button', class: 'exit', 'data-exit': name, 'aria-label': `Leave ${key}`, title: 'Leave this room' }, '×'));
  return item;
}

export function drawConversation({ key, kind, people, entries }, me) {
  $('title').textContent = key;
  $('people').textContent = kind === 'direct' ? 'to all windows of this name' : people === undefined ? 'You are not in this room.' : people.map((name) => (name === me ? `${name} (you)` : name)).join(', ');
  $('text').setAttribute('placeholder', `Message to ${key}`);
  redraw('entries', `${key} ${entries.length} ${entries.at(-1)?.at}`, () => entries.map(({ from, text, note, at }) => {
    if (note !== undefined) return el('li', { class: 'note' }, note);
    const by = el('span', { class: 'by' }, from === me ? 'you' : from, ' ', el('time', { datetime: new Date(at).toISOString() }, clock.format(at)));
    return el('li', { class: from === me ? 'mine' : undefined }, by, el('span', { class: 'words' }, text));
  }));
  $('log').scrollTop = $('log').scrollHeight;
}

export function showAnnouncement({ text, from, pid, at }) {
  $('announcement').replaceChildren(el('strong', {}, text), el('small', {}, `${from}, ${clock.format(at)}, through process ${pid}`));
  $('announcement').hidden = false;
}

export function drawFrame({ out, text }) {
  const frames = $('frames');
  const clear = !text.startsWith('{"event":"encrypted"');
  frames.prepend(el('li', { class: `${out ? 'out' : 'in'}${clear ? ' clear' : ''}` }, el('small', {}, `${out ? 'to the server' : 'from the server'}${clear ? ', in clear' : ''}`), el('code', {}, text)));
  while (frames.childElementCount > MOST_FRAMES) frames.lastElementChild.remove();
}
