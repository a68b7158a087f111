// Signs in over HTTP, then talks over a WebSocket that the token opens.

const $ = (id) => document.getElementById(id);

/** In a variable and not in localStorage: a script that somehow got into the page could read it there even tomorrow. */
let session;
let socket;
let clock;

async function post(path, { body, token } = {}) {
  const response = await fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: body && JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

async function connect() {
  const { webSocketPort } = await (await fetch('/config.json')).json();
  const protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  // A page cannot set headers here, but it can offer subprotocols. The first is the one we want; the other brings the token.
  socket = new WebSocket(`${protocol}//${location.hostname}:${webSocketPort}`, ['messages.v1', `bearer.${session.token}`]);
  socket.addEventListener('open', () => {
    $('state').textContent = 'connected';
    $('to').focus();
  });
  socket.addEventListener('message', ({ data }) => hear(JSON.parse(data)));
  socket.addEventListener('close', ({ code, reason }) => {
    // 4001 is ours. A token that was refused shows as 1006, as does every failure: browsers do not tell pages more.
    showLogin({ 1000: '', 4001: `Your ${reason}. Sign in again.` }[code] ?? 'The connection was lost or refused. Sign in again.');
  });
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

/** What people wrote goes in as text, never as markup. */
function add(by, text, mine) {
  const item = document.createElement('li');
  const words = document.createElement('span');
  words.textContent = text;
  item.dataset.by = by;
  item.classList.toggle('mine', mine);
  item.append(words);
  $('log').append(item);
  $('log').scrollTop = $('log').scrollHeight;
}

function tick() {
  const left = Math.max(0, Math.round(session.expires - Date.now() / 1000));
  $('left').textContent = `${Math.floor(left / 60)}:${`${left % 60}`.padStart(2, '0')}`;
  // In good time, so that a slow answer is no problem; and once.
  if ($('renew').checked && left < session.lifetime / 4 && !session.renewing) renew();
}

async function renew() {
  session.renewing = true;
  try {
    const { token, expires } = await post('/renew', { token: session.token });
    session.token = token;
    // The open connection goes on with the new token.
    socket.send(JSON.stringify({ type: 'renew', token }));
    session.lifetime = expires - Date.now() / 1000;
  } catch {
    // Then the connection ends with the token, and the page asks for the password again.
  }
  setTimeout(() => {
    if (session) session.renewing = false;
  }, 1_000);
}

function showLogin(problem) {
  clearInterval(clock);
  session = undefined;
  $('inside').hidden = true;
  $('login').hidden = false;
  $('problem').textContent = problem;
  $('log').replaceChildren();
  $('password').value = '';
  $('password').focus();
}

$('login').addEventListener('submit', async (event) => {
  event.preventDefault();
  const user = $('user').value.trim();
  try {
    const { token, expires } = await post('/login', { body: { user, password: $('password').value } });
    session = { user, token, expires, lifetime: expires - Date.now() / 1000, renewing: false };
    $('problem').textContent = '';
    $('me').textContent = user;
    $('to').value = user === 'alice' ? 'bob' : 'alice';
    $('state').textContent = 'connecting…';
    $('login').hidden = true;
    $('inside').hidden = false;
    clock = setInterval(tick, 250);
    tick();
    await connect();
  } catch (error) {
    showLogin(`${error.message[0].toUpperCase()}${error.message.slice(1)}.`);
  }
});

$('write').addEventListener('submit', (event) => {
  event.preventDefault();
  socket.send(JSON.stringify({ type: 'send', to: $('to').value.trim(), text: $('text').value }));
  $('text').value = '';
  $('text').focus();
});

$('leave').addEventListener('click', () => socket.close(1000));
