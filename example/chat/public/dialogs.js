// The two questions the page asks: what is your name, and which room.

import { el } from './dom.js';
import { closeDrawers } from './frame.js';
import { roomNameOf } from './rooms.js';
import { $ } from './view.js';

for (const dialog of document.querySelectorAll('dialog')) {
  dialog.addEventListener('click', (event) => {
    // A click on the dialog itself is outside its form, on the backdrop.
    if (event.target === dialog || event.target.closest('[data-close]')) dialog.close();
  });
}

/**
 * Asks for a name. `submit` sends it and says whether that was possible. The server decides, so
 * the dialog stays until `accept` or `refuse` is called.
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
  dialog.addEventListener('submit', (event) => {
    event.preventDefault();
    const name = $('name').value.trim();
    if (name === current()) dialog.close();
    else if (name === '') problem.textContent = 'A name must not be empty.';
    else if (!submit(name)) problem.textContent = 'You are offline. Try again when the connection is back.';
  });
  return {
    accept: () => dialog.close(),
    /** False if the dialog is closed. */
    refuse(reason) {
      if (dialog.open) problem.textContent = reason;
      return dialog.open;
    },
  };
}

/**
 * Asks for a room. `ask` requests the list, which goes to `offer` when it arrives; `choose` gets
 * the name.
 */
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
    ask();
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
  return {
    offer(rooms) {
      offered = rooms;
      draw();
    },
  };
}
