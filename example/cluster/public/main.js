// A socket to each instance, side by side.

const $ = (id) => document.getElementById(id);
const MOST_ENTRIES = 200;
const RETRY = 1_000;

/**
 * When a message was first seen on this page, by its id: on the side where it was written, as that
 * is served first.
 */
const seen = new Map();

class Side {
  #name;
  #box;
  #socket;
  #log;
  #entries;
  #input;
  #send;

  constructor(box, { name, port }) {
    this.#name = name;
    this.#box = box;
    box.append($('instance').content.cloneNode(true));
    box.setAttribute('aria-label', `Instance ${name}`);
    box.querySelector('h2').textContent = name;
    box.querySelector('label').textContent = `Message on ${name}`;
    this.#log = box.querySelector('.log');
    this.#entries = box.querySelector('ol');
    this.#log.setAttribute('aria-label', `Messages on ${name}`);
    this.#input = box.querySelector('input');
    this.#send = box.querySelector('button');
    this.#input.id = `text-${name}`;
    this.#input.placeholder = `Say something on ${name}`;
    box.querySelector('label').htmlFor = this.#input.id;
    box.querySelector('form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#say();
    });
    this.#disconnected('connecting');
    this.#connect(port);
  }

  get connected() {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /**
   * Without a socket nothing can be sent, and what the page last heard of Redis may no longer be
   * true.
   */
  #disconnected(text) {
    this.#state('socket', false, text);
    this.#state('bus', false, 'bus unknown');
    this.#box.querySelector('.state.bus').toggleAttribute('data-unknown', true);
    this.#send.disabled = true;
  }

  #connect(port) {
    const socket = new WebSocket(`ws://${location.hostname}:${port}/`);
    this.#socket = socket;
    socket.addEventListener('open', () => {
      this.#state('socket', true, 'connected');
      this.#send.disabled = false;
      askForRedis();
      socket.send(JSON.stringify({ type: 'hello' }));
    });
    socket.addEventListener('message', ({ data }) => this.#take(JSON.parse(data)));
    socket.addEventListener('close', () => {
      this.#disconnected('not connected');
      askForRedis();
      setTimeout(() => this.#connect(port), RETRY);
    });
  }

  #say() {
    const text = this.#input.value;
    if (this.#socket.readyState !== WebSocket.OPEN || text.trim() === '') return;
    this.#socket.send(JSON.stringify({ type: 'say', id: crypto.randomUUID?.() ?? `${Math.random()}`, text }));
    this.#input.value = '';
  }

  #take(message) {
    switch (message.type) {
      case 'welcome':
        this.#box.querySelector('.pid').textContent = `process ${message.pid}`;
        this.#showBus(message.bus.state);
        this.#count(message.bus);
        break;
      case 'said':
        this.#said(message);
        break;
      case 'bus':
        this.#event(message);
        break;
      case 'stats':
        this.#showBus(message.bus.state);
        this.#count(message.bus);
        break;
      case 'error':
        this.#write(message.text, 'event bad');
        break;
    }
  }

  #said({ from, id, text }) {
    const now = performance.now();
    const first = seen.get(id);
    if (first === undefined) seen.set(id, now);
    if (seen.size > MOST_ENTRIES) seen.delete(seen.keys().next().value);
    const mine = from === this.#name;
    const entry = this.#write(text, mine ? 'mine' : '');
    const note = document.createElement('small');
    note.textContent = mine ? 'here' : `from ${from}${first === undefined ? '' : `, ${(now - first).toFixed(1)} ms later`}`;
    entry.append(note);
    if (!mine) pulse(this.#box.dataset.instance === '1' ? 'right' : 'left');
  }

  #event({ state, reason, missed, own }) {
    if (state === 'ready') this.#write('the bus is ready', 'event');
    if (state === 'lost') this.#write(`the bus is lost: ${reason}`, 'event bad');
    if (state === 'warning') this.#write(reason, 'event bad');
    if (state === 'gap' || state === 'gaps') {
      const number = `${missed} ${missed === 1 ? 'message' : 'messages'}`;
      this.#write(own ? `${number} of ours did not leave` : `${number} of the other side did not arrive here`, 'event bad');
    }
    if (state === 'ready' || state === 'lost') this.#showBus(state);
  }

  #showBus(state) {
    this.#state('bus', state === 'ready', `bus ${state}`);
    this.#box.querySelector('.state.bus').removeAttribute('data-unknown');
  }

  #count({ published, received, missed, dropped, refused, unanswered }) {
    for (const [name, value] of Object.entries({ published, received, missed, unsent: dropped + refused + unanswered })) {
      this.#box.querySelector(`[data-count="${name}"]`).textContent = value.toLocaleString('en-US');
    }
  }

  #state(which, good, text) {
    const pill = this.#box.querySelector(`.state.${which}`);
    pill.toggleAttribute('data-good', good);
    // A screen reader reads it again only when it changes.
    if (pill.textContent !== text) pill.textContent = text;
  }

  /** Texts become text nodes and never turn into markup. */
  #write(text, kind) {
    const entry = document.createElement('li');
    entry.className = kind;
    entry.append(text);
    this.#entries.append(entry);
    while (this.#entries.childElementCount > MOST_ENTRIES) this.#entries.firstElementChild.remove();
    this.#log.scrollTop = this.#log.scrollHeight;
    return entry;
  }
}

function pulse(direction) {
  const redis = $('redis');
  delete redis.dataset.pulse;
  // Restarts the animation.
  void redis.offsetWidth;
  redis.dataset.pulse = direction;
}

/** Shows Redis as the server knows it, or as unknown while no side has a socket to it. */
async function askForRedis() {
  const unknown = !sides.some(({ connected }) => connected);
  $('redis').toggleAttribute('data-unknown', unknown);
  $('redis-switch').disabled = unknown;
  // When the server has gone in the meantime, the sockets close too, and this is called again.
  if (!unknown) await ask('/state.json').then(({ redis }) => showRedis(redis), () => {});
}

function showRedis({ own, running }) {
  $('redis').toggleAttribute('data-off', !running);
  $('redis-state').textContent = own ? (running ? 'runs' : 'is dead') : 'at REDIS_URL';
  $('redis-switch').hidden = !own;
  $('redis-switch').textContent = running ? 'Kill it' : 'Start it again';
}

async function ask(path, options) {
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

const state = await ask('/state.json');
showRedis(state.redis);
const sides = [...document.querySelectorAll('.instance')].map((box, i) => new Side(box, state.instances[i]));

$('redis-switch').addEventListener('click', async ({ currentTarget: button }) => {
  button.disabled = true;
  try {
    const { running } = (await ask('/state.json')).redis;
    showRedis((await ask(running ? '/redis/stop' : '/redis/start', { method: 'POST' })).redis);
    $('problem').textContent = '';
  } catch (error) {
    $('problem').textContent = error.message;
  } finally {
    button.disabled = $('redis').hasAttribute('data-unknown');
  }
});
