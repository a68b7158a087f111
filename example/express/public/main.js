const [login, say, state, messages] = ['login', 'say', 'state', 'messages'].map((id) => document.getElementById(id));
let socket;
let attempt = 0;

function connect() {
  // The same host and port. The cookie of the login goes along.
  socket = new WebSocket('/ws');
  socket.addEventListener('open', () => {
    attempt = 0;
    state.textContent = 'Connected.';
    login.hidden = true;
    say.hidden = false;
    say.elements.text.focus();
  });
  socket.addEventListener('message', ({ data }) => {
    const { from, text } = JSON.parse(data);
    const item = document.createElement('li');
    item.textContent = `${from}: ${text}`;
    messages.append(item);
  });
  socket.addEventListener('close', () => {
    if (say.hidden) {
      state.textContent = 'Please log in.';
      return;
    }
    state.textContent = 'Offline, connecting again …';
    attempt += 1;
    setTimeout(connect, Math.random() * Math.min(15_000, 500 * 2 ** attempt));
  });
}

login.addEventListener('submit', async (event) => {
  event.preventDefault();
  const response = await fetch('/login', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ name: login.elements.name.value }),
  });
  if (response.ok) connect();
  else state.textContent = (await response.json()).error;
});

say.addEventListener('submit', (event) => {
  event.preventDefault();
  if (socket.readyState !== WebSocket.OPEN) return;
  socket.send(say.elements.text.value);
  say.reset();
});

// There may be a session already.
connect();
