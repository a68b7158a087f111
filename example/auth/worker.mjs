// Accepts connections with a valid token, and no others. Each worker thread loads this file.
//
// An accepted connection is in two channels from the start:
//
//   user:alice           all of Alice's connections, on whatever thread: her phone and her laptop
//   expires:1767225600   all connections whose token expires in that second; server.mjs then
//                        closes the channel

import { close, send, sendToChannel, setToken, subscribe, unsubscribe } from 'wsbroker';
import { BadToken, makeVerifier } from './verifier.mjs';

const PROTOCOL = 'messages.v1';
const TOKEN_PROTOCOL = 'bearer.';

const verify = makeVerifier(process.env.AUTH_ISSUER);
const userChannel = (user) => `user:${user}`;
const expiryChannel = (expires) => `expires:${expires}`;

/**
 * Where the token may be:
 *
 * 1. `Authorization: Bearer …`, for every client that can set headers. It is made for this: proxies
 *    keep it out of logs.
 * 2. As a subprotocol, `bearer.` + token, for browsers: it is the only header that a page can
 *    influence. Recommended there.
 * 3. In the query, `?token=…`. It works everywhere, but addresses end up in the logs of every proxy
 *    on the way. Off unless ALLOW_QUERY_TOKEN=1, for clients that can do neither.
 *
 * A cookie would work too, but needs a check of the origin: a browser sends cookies for pages of
 * any site, whereas only code that has a token can send it.
 */
function findToken(headers, { protocols, query }) {
  const header = /^Bearer +(\S+)$/iu.exec(headers.authorization ?? '');
  if (header) return header[1];
  const offered = protocols.find((protocol) => protocol.startsWith(TOKEN_PROTOCOL));
  if (offered) return offered.slice(TOKEN_PROTOCOL.length);
  if (process.env.ALLOW_QUERY_TOKEN === '1') return new URLSearchParams(query).get('token') ?? undefined;
  return undefined;
}

/**
 * Called before the upgrade is answered: without a token there is no connection, and so no state
 * "not logged in yet".
 */
export async function handleOpen(_socketId, _ip, headers, request) {
  const token = findToken(headers, request);
  if (token === undefined) return refused('a token is needed');
  try {
    const { user, expires } = await verify(token);
    return {
      // A browser drops the connection unless one of its offers is answered. Never answer the one
      // with the token: that would send it back.
      protocol: request.protocols.includes(PROTOCOL) ? PROTOCOL : undefined,
      token: JSON.stringify({ user, expires }),
      channels: [userChannel(user), expiryChannel(expires)],
    };
  } catch (error) {
    if (error instanceof BadToken) return refused(error.message, 'invalid_token');
    throw error; // reported by wsbroker, and answered with 403
  }
}

/** 401 as in RFC 6750. A page sees only that the connection failed; other clients see why. */
const refused = (reason, code) => ({
  status: 401,
  headers: { 'www-authenticate': code ? `Bearer error="${code}", error_description="${reason}"` : 'Bearer' },
  body: `${reason}\n`,
});

export async function handleTextMessage(text, socketId, token) {
  const me = JSON.parse(token);
  // The channel closes on the second; a message that was on its way just then is stopped here.
  if (me.expires <= Date.now() / 1000) return close(socketId, 4001, 'token expired');
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    return reply(socketId, { type: 'error', message: 'a message must be JSON' });
  }
  switch (message?.type) {
    case 'send':
      return sendTo(socketId, me, message);
    case 'renew':
      return renew(socketId, me, message);
    default:
      return reply(socketId, { type: 'error', message: 'type: expected send or renew' });
  }
}

/**
 * To all connections of a user, and to the sender's own others, so that a laptop shows what the
 * phone has sent.
 */
function sendTo(socketId, me, { to, text }) {
  if (!isText(to, 64) || !isText(text, 2000)) {
    return reply(socketId, { type: 'error', message: 'send: expected to (1 to 64 characters) and text (1 to 2000)' });
  }
  const message = JSON.stringify({ type: 'message', from: me.user, to, text, at: Date.now() });
  const reached = sendToChannel(userChannel(to), message);
  if (to !== me.user) sendToChannel(userChannel(me.user), message, { exclude: socketId });
  // How many connections the message is on its way to. 0: no user of that name is here.
  return reply(socketId, { type: 'sent', to, text, reached });
}

/** A new token for an open connection, which continues without a gap. */
async function renew(socketId, me, { token }) {
  if (!isText(token, 8192)) return reply(socketId, { type: 'error', message: 'renew: expected a token' });
  try {
    const { user, expires } = await verify(token);
    // The channels and messages of this connection are Alice's. A token of Bob's may be valid, but
    // not here.
    if (user !== me.user) throw new BadToken('token of another user');
    if (expires !== me.expires) {
      // Join first, then leave: otherwise for a moment nothing would end this connection.
      subscribe(socketId, expiryChannel(expires));
      unsubscribe(socketId, expiryChannel(me.expires));
      setToken(socketId, JSON.stringify({ user, expires }));
    }
    return reply(socketId, { type: 'renewed', expires });
  } catch (error) {
    if (!(error instanceof BadToken)) throw error;
    return reply(socketId, { type: 'error', message: `renew: ${error.message}` });
  }
}

const isText = (value, max) => typeof value === 'string' && value.length > 0 && value.length <= max;
const reply = (socketId, message) => void send(socketId, JSON.stringify(message));
