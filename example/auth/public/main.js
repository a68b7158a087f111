// Signs in over HTTP, then talks over a WebSocket that the token opens.

const $ = (id) => document.getElementById(id);

const FIRST_RETRY = 500;
const LONGEST_RETRY = 10_000;

/**
 * Who is signed in: { user, token, expires, lifetime, renewing, retry }. In a variable, not in
 * localStorage, where a script that got into the page could still read it tomorrow.
 */
let session;
let socket;
let clock;

/**
 * The server answered with an error. When it does not answer at all, `fetch` throws another error.
 */
class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, { method = 'GET', body, token } = {}) {
  const response = await fetch(path, {
    method,
    headers: { ...(body && { 'content-type': 'application/json' }), ...(token && { authorization: `Bearer ${token}` }) },
    body: body && JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Refused(response.status, answer.error);
  return answer;
}

/** Opens the WebSocket of a session. Tries again, ever more slowly, until the session ends. */
async function connect(mine) {
  showState(mine.retry === FIRST_RETRY ? 'connecting…' : 'connecting again…');
  try {
    // Ask about the token first: a WebSocket that is refused looks like one that found no server.
    await ask('/session', { token: mine.token });
  } catch (error) {
    if (mine !== session) return;
    if (error.status === 401) showLogin('Your session has ended. Sign in again.');
    else connectLater(mine);
    return;
  }
  if (mine !== session) return;
  const { token } = mine;
  const protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  // A page cannot set headers here, but it can offer subprotocols. The first is the one we want;
  // the other brings the token.
  socket = new WebSocket(`${protocol}//${location.host}`, ['messages.v1', `bearer.${token}`]);
  socket.addEventListener('open', () => {
    if (mine !== session) return;
    mine.retry = FIRST_RETRY;
    showState('connected');
    if (mine.token !== token) tellOfRenewal(mine);
    if ($('text').value === '') $('to').focus();
  });
  socket.addEventListener('message', ({ data }) => mine === session && hear(JSON.parse(data)));
  socket.addEventListener('close', ({ code, reason }) => {
    if (mine !== session) return;
    // 4001 is the server's own: the token has expired. After any other end, reconnect.
    if (code === 4001) showLogin(`Your ${reason}. Sign in again.`);
    else connectLater(mine);
  });
}

function connectLater(mine) {
  showState('connection lost, trying again…');
  // Spread out, so that pages do not all reconnect at the same moment.
  setTimeout(() => mine === session && connect(mine), mine.retry * (0.5 + Math.random() / 2));
  mine.retry = Math.min(2 * mine.retry, LONGEST_RETRY);
}

const isConnected = () => socket?.readyState === WebSocket.OPEN;

function showState(state) {
  $('state').textContent = state;
  $('send').disabled = !isConnected();
}

function hear(message) {
  switch (message.type) {
    case 'message':
      return add(message.from === session.user ? `to ${message.to}, from another window` : message.from, message.text, message.from === session.user);
    case 'sent':
      return add(message.reached === 0 ? `to ${message.to}, who is not here` : `to ${message.to}, on ${message.reached} connection${message.reached === 1 ? '' : 's'}`, message.text, true);
    case 'renewed':
      session.expires = message.expires;
      return undefined;
    case 'error':
      return add('the server', message.message, false);
    default:
      return undefined;
  }
}

/** What users write is inserted as text, never as markup. */
function add(by, text, mine) {
  const item = document.createElement('li');
  const words = document.createElement('span');
  words.textContent = text;
  item.dataset.by = by;
  item.classList.toggle('mine', mine);
  item.append(words);
  $('entries').append(item);
  $('log').scrollTop = $('log').scrollHeight;
}

/** The open connection goes on with the new token. One that opens later begins with it. */
const tellOfRenewal = ({ token }) => socket.send(JSON.stringify({ type: 'renew', token }));

function tick() {
  const left = Math.max(0, Math.round(session.expires - Date.now() / 1000));
  $('left').textContent = `${Math.floor(left / 60)}:${`${left % 60}`.padStart(2, '0')}`;
  if (left === 0 && !isConnected()) return showLogin('Your token expired. Sign in again.');
  // Early enough for a slow answer, and only once.
  if ($('renew').checked && left < session.lifetime / 4 && !session.renewing) renew(session);
}

async function renew(mine) {
  mine.renewing = true;
  try {
    const { token, expires } = await ask('/renew', { method: 'POST', token: mine.token });
    mine.token = token;
    mine.lifetime = expires - Date.now() / 1000;
    if (mine === session && isConnected()) tellOfRenewal(mine);
    else mine.expires = expires;
  } catch {
    // Tried again in a second. Without success the token expires, and the page asks for the
    // password.
  }
  setTimeout(() => (mine.renewing = false), 1_000);
}

function showLogin(problem) {
  clearInterval(clock);
  session = undefined;
  socket?.close(1000);
  socket = undefined;
  $('inside').hidden = true;
  $('login').hidden = false;
  $('problem').textContent = problem;
  $('entries').replaceChildren();
  $('password').value = '';
  $('password').focus();
}

$('login').addEventListener('submit', async (event) => {
  event.preventDefault();
  const user = $('user').value.trim();
  try {
    const { token, expires } = await ask('/login', { method: 'POST', body: { user, password: $('password').value } });
    session = { user, token, expires, lifetime: expires - Date.now() / 1000, renewing: false, retry: FIRST_RETRY };
    $('problem').textContent = '';
    $('me').textContent = user;
    $('to').value = user === 'alice' ? 'bob' : 'alice';
    $('login').hidden = true;
    $('inside').hidden = false;
    clock = setInterval(tick, 250);
    tick();
    connect(session);
  } catch (error) {
    showLogin(error instanceof Refused ? `${error.message[0].toUpperCase()}${error.message.slice(1)}.` : 'The server does not answer.');
  }
});

$('write').addEventListener('submit', (event) => {
  event.preventDefault();
  // What cannot be sent stays in the box.
  if (!isConnected()) return;
  socket.send(JSON.stringify({ type: 'send', to: $('to').value.trim(), text: $('text').value }));
  $('text').value = '';
  $('text').focus();
});

$('leave').addEventListener('click', () => showLogin(''));
