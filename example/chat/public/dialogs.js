// The two questions the page asks: what is your name, and which room.

import { el } from './dom.js';
import { closeDrawers } from './frame.js';
import { roomNameOf } from './rooms.js';
import { $, sentence } from './view.js';

for (const dialog of document.querySelectorAll('dialog')) {
  dialog.addEventListener('click', (event) => {
    // A click on the dialog itself is outside its form, on the backdrop.
    if (event.target === dialog || event.target.closest('[data-close]')) dialog.close();
  });
}

/**
 * Asks for a name. The server decides: `submit` rejects with what is wrong, and the dialog stays.
 */
export function nameDialog({ current, submit }) {
  const dialog = $('name-dialog');
  const problem = $('name-problem');
  $('open-name').addEventListener('click', () => {
    closeDrawers();
    $('name').value = current();
    problem.textContent = '';
    dialog.showModal();
    $('name').select();
  });
  dialog.addEventListener('submit', async (event) => {
    event.preventDefault();
    const name = $('name').value.trim();
    try {
      if (name === '') throw new Error('a name must not be empty');
      if (name !== current()) await submit(name);
      dialog.close();
    } catch (error) {
      problem.textContent = sentence(error.message);
    }
  });
}

/** Asks for a room. `ask` resolves with those that there are; `choose` gets the name. */
export function roomPicker({ ask, choose }) {
  const dialog = $('picker');
  const input = $('room');
  const problem = $('room-problem');
  let offered = [];

  function draw() {
    const wanted = roomNameOf(input.value) ?? '';
    const items = offered.filter(({ room }) => room.includes(wanted)).slice(0, 50).map(({ room, people }) =>
      choice(room, '#', room, el('small', {}, `${people} ${people === 1 ? 'person' : 'people'}`)));
    if (wanted !== '' && !offered.some(({ room }) => room === wanted)) items.unshift(choice(wanted, '+', `Create #${wanted}`));
    $('choices').replaceChildren(...items);
  }

  const choice = (room, sign, label, ...more) => el('li', {}, el(
    'button', { type: 'button', 'data-room': room },
    el('span', { class: 'hash', 'aria-hidden': 'true' }, sign), el('span', { class: 'label' }, label), ...more,
  ));

  function take(text) {
    const name = roomNameOf(text);
    if (name === undefined) {
      problem.textContent = 'A room name has only letters, digits, - and _.';
      return;
    }
    dialog.close();
    choose(name);
  }

  function open() {
    closeDrawers();
    input.value = '';
    problem.textContent = '';
    offered = [];
    draw();
    dialog.showModal();
    input.focus();
    // Offline there is no list; a room can be named all the same.
    ask().then(offer, () => {});
  }

  function offer(rooms) {
    offered = rooms;
    draw();
  }

  $('open-picker').addEventListener('click', open);
  addEventListener('keydown', (event) => {
    if (event.key !== 'k' || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    event.preventDefault();
    if (!document.querySelector('dialog[open]')) open();
  });
  input.addEventListener('input', () => {
    problem.textContent = '';
    draw();
  });
  dialog.addEventListener('submit', (event) => {
    event.preventDefault();
    take(input.value);
  });
  $('choices').addEventListener('click', (event) => {
    const button = event.target.closest('button');
    if (button) take(button.dataset.room);
  });
}
