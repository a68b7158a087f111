// A client of example/helper, written from its README and not from its code, on other functions: what both understand is what is documented.

import assert from 'node:assert/strict';
import { createCipheriv, createDecipheriv, createECDH, hkdfSync } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import WebSocket from 'ws';

import { DEADLINE, until, within } from './harness.mjs';

const base64 = (bytes) => Buffer.from(bytes).toString('base64url');

export const ticketFor = async (url, name) => {
  const response = await fetch(`${url}/login`, { method: 'POST', body: JSON.stringify({ name }) });
  assert.equal(response.status, 200);
  return (await response.json()).ticket;
};

/** Everything that comes through it is kept: `fromServer()`, `fromClient()`. It stands between a client and the port of the server. */
export async function tap(port) {
  const heard = { server: [], client: [] };
  const sockets = new Set();
  const server = net.createServer((client) => {
    const upstream = net.connect(port, '127.0.0.1');
    for (const [from, to, name] of [[client, upstream, 'client'], [upstream, client, 'server']]) {
      sockets.add(from);
      from.on('data', (bytes) => heard[name].push(bytes));
      from.on('error', () => to.destroy());
      from.pipe(to);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: server.address().port,
    fromServer: () => Buffer.concat(heard.server),
    fromClient: () => Buffer.concat(heard.client),
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** The messages in what a server has sent: the answer to the upgrade, then frames that are not masked, not compressed and not in parts. */
export function messagesIn(bytes) {
  let at = bytes.indexOf('\r\n\r\n') + 4;
  const messages = [];
  while (at < bytes.length) {
    const opcode = bytes[at] & 15;
    let size = bytes[at + 1] & 127;
    at += 2;
    if (size === 126) {
      size = bytes.readUInt16BE(at);
      at += 2;
    } else if (size === 127) {
      size = Number(bytes.readBigUInt64BE(at));
      at += 8;
    }
    if (opcode === 1) messages.push(bytes.subarray(at, at + size).toString());
    at += size;
  }
  return messages;
}

/** A socket that has not shown who it is. */
export class Client {
  /** Frames as they came. */
  frames = [];
  /** What was in them: `connected` and what is in clear as it is, the rest decrypted. */
  heard = [];
  #sent = 0;
  #received = 0;
  #ended;

  static async connect(port) {
    const client = new Client();
    const socket = (client.socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, { perMessageDeflate: false }));
    client.#ended = new Promise((resolve) => socket.once('close', (code, reason) => resolve({ code, reason: `${reason}` })));
    socket.on('error', () => {});
    socket.on('message', (bytes) => client.#take(`${bytes}`));
    await within(once(socket, 'open'), 'the connection');
    return client;
  }

  /** Signed in, with keys. */
  static async signIn(server, name, { port = server.ports.WS_PORT } = {}) {
    const client = await Client.connect(port);
    client.authenticate(await ticketFor(server.url, name));
    await client.hears('connected');
    return client;
  }

  authenticate(ticket, publicKey) {
    this.ecdh = createECDH('prime256v1');
    this.publicKey = base64(this.ecdh.generateKeys());
    this.clear('authenticate', { ticket, publicKey: publicKey === undefined ? this.publicKey : publicKey });
  }

  #take(text) {
    this.frames.push(text);
    let message = JSON.parse(text);
    if (message.event === 'connected') this.#agree(message.data);
    else if (message.event === 'encrypted') message = this.#open(message.data);
    this.heard.push(message);
  }

  #agree({ id, serverPublicKey, salt }) {
    this.id = id;
    const shared = this.ecdh.computeSecret(Buffer.from(serverPublicKey, 'base64url'));
    const key = (direction) => Buffer.from(hkdfSync('sha256', shared, Buffer.from(salt, 'base64url'),
      ['wsbroker example/helper 1', direction, id, this.publicKey, serverPublicKey].join('\n'), 32));
    this.keys = { out: key('to server'), back: key('to page') };
  }

  #nonce(n) {
    const nonce = Buffer.alloc(12);
    nonce.writeBigUInt64BE(BigInt(n), 4);
    return nonce;
  }

  /** Throws where it is not authentic, which fails the test. */
  #open({ n, c }) {
    assert.equal(n, this.#received + 1, 'the number of the next message');
    this.#received = n;
    const bytes = Buffer.from(c, 'base64url');
    const decipher = createDecipheriv('aes-256-gcm', this.keys.back, this.#nonce(n)).setAAD(Buffer.from(`to page\n${this.id}`)).setAuthTag(bytes.subarray(-16));
    return JSON.parse(Buffer.concat([decipher.update(bytes.subarray(0, -16)), decipher.final()]));
  }

  /** The next message, not sent: tests change it. */
  seal(event, data) {
    const n = (this.#sent += 1);
    const cipher = createCipheriv('aes-256-gcm', this.keys.out, this.#nonce(n)).setAAD(Buffer.from(`to server\n${this.id}`));
    return { n, c: base64(Buffer.concat([cipher.update(JSON.stringify({ event, data })), cipher.final(), cipher.getAuthTag()])) };
  }

  say(event, data) {
    this.clear('encrypted', this.seal(event, data));
  }

  clear(event, data) {
    this.socket.send(JSON.stringify({ event, data }));
  }

  /** Joins, as the helper understands it, and asks whether that went well. */
  enter(room) {
    this.clear('join', { rooms: [room] });
    this.say('enter', { room });
  }

  /** How it ended, when it has. */
  get closed() {
    return within(this.#ended, `the end of ${this.id ?? 'a connection'}`, 2 * DEADLINE);
  }

  /** Waits for the first message of that event that is `like`, and takes it out. */
  async hears(event, like = () => true) {
    const index = () => this.heard.findIndex((message) => message.event === event && like(message.data));
    await until(() => index() >= 0, `${event} at ${this.id}`, undefined, () => `; there are ${JSON.stringify(this.heard)}`);
    return this.heard.splice(index(), 1)[0].data;
  }

  close() {
    this.socket.terminate();
  }
}
