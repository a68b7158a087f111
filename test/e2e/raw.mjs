// A WebSocket peer on a bare TCP socket, for what a well-behaved client library never does: half requests, silence, frames
// that break the rules, a receiver that does not read.
import { randomBytes } from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';

import { DEADLINE, until } from './harness.mjs';

export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

/** One frame as a client sends it. */
export function frame(opcode, payload = '', { fin = true, mask = true, rsv = 0 } = {}) {
  const body = Buffer.from(payload);
  const size = body.length;
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  const bit = mask ? 0x80 : 0;
  let head;
  if (size < 126) {
    head = Buffer.from([first, bit | size]);
  } else if (size < 65536) {
    head = Buffer.from([first, bit | 126, size >> 8, size & 255]);
  } else {
    head = Buffer.alloc(10);
    head[0] = first;
    head[1] = bit | 127;
    head.writeBigUInt64BE(BigInt(size), 2);
  }
  if (!mask) return Buffer.concat([head, body]);
  const key = randomBytes(4);
  const masked = Buffer.alloc(size);
  for (let i = 0; i < size; i++) masked[i] = body[i] ^ key[i & 3];
  return Buffer.concat([head, key, masked]);
}

export function closeFrame(code, reason = '') {
  return frame(CLOSE, Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]));
}

/** An upgrade request; header values may be lists, `undefined` leaves a header out. */
export function request(target = '/', headers = {}, method = 'GET') {
  const all = {
    Host: 'localhost',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...headers,
  };
  const lines = [`${method} ${target} HTTP/1.1`];
  for (const [name, value] of Object.entries(all)) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined) lines.push(`${name}: ${one}`);
  }
  return lines.join('\r\n') + '\r\n\r\n';
}

/** Reads the frames a server sent; keeps what is not yet whole. */
class Frames {
  constructor() {
    this.rest = Buffer.alloc(0);
  }

  push(chunk) {
    this.rest = Buffer.concat([this.rest, chunk]);
    const found = [];
    for (;;) {
      const { rest } = this;
      if (rest.length < 2) return found;
      let size = rest[1] & 127;
      let at = 2;
      if (size === 126) {
        if (rest.length < 4) return found;
        size = rest.readUInt16BE(2);
        at = 4;
      } else if (size === 127) {
        if (rest.length < 10) return found;
        size = Number(rest.readBigUInt64BE(2));
        at = 10;
      }
      if (rest.length < at + size) return found;
      const payload = rest.subarray(at, at + size);
      const opcode = rest[0] & 15;
      found.push({
        opcode,
        fin: (rest[0] & 128) !== 0,
        rsv: (rest[0] >> 4) & 7,
        masked: (rest[1] & 128) !== 0,
        payload,
        text: payload.toString(),
        code: opcode === CLOSE && size >= 2 ? payload.readUInt16BE(0) : undefined,
        reason: opcode === CLOSE ? payload.subarray(2).toString() : undefined,
      });
      this.rest = rest.subarray(at + size);
    }
  }
}

export class Raw {
  constructor(socket, deaf = false) {
    this.socket = socket;
    this.head = undefined; // status line and headers, once they came
    this.bytes = Buffer.alloc(0); // what came before the head was whole
    this.frames = [];
    this.parser = new Frames();
    this.ended = false;
    if (!deaf) this.listen();
    socket.on('close', () => (this.ended = true));
    socket.on('error', (error) => (this.error = error));
  }

  /** Begins to read. */
  listen() {
    this.socket.on('data', (chunk) => this.take(chunk));
    return this;
  }

  /** Stops reading: what comes from now on stays in the kernel, and then with the server. */
  stopReading() {
    this.socket.pause();
    return this;
  }

  take(chunk) {
    if (this.head !== undefined) {
      if (this.status === 101) this.frames.push(...this.parser.push(chunk));
      else this.body = Buffer.concat([this.body, chunk]);
      return;
    }
    this.bytes = Buffer.concat([this.bytes, chunk]);
    const at = this.bytes.indexOf('\r\n\r\n');
    if (at < 0) return;
    this.head = this.bytes.subarray(0, at).toString('latin1');
    this.status = Number(this.head.split(' ')[1]);
    this.headers = Object.fromEntries(
      this.head
        .split('\r\n')
        .slice(1)
        .map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    );
    this.body = Buffer.alloc(0);
    const rest = this.bytes.subarray(at + 4);
    if (rest.length > 0) this.take(rest);
  }

  write(data) {
    this.socket.write(data);
    return this;
  }

  /** The answer to the request: its status. */
  async answer(ms = DEADLINE) {
    await until(() => this.head !== undefined || this.ended, 'an answer', ms);
    return this.status;
  }

  /** The next frame of that kind, counted from the first. */
  async frame(opcode, index = 0, ms = DEADLINE) {
    const find = () => this.frames.filter((one) => one.opcode === opcode)[index];
    await until(() => find() || this.ended, `frame ${opcode}`, ms);
    const found = find();
    if (!found) throw new Error(`the connection ended without frame ${opcode}`);
    return found;
  }

  async end(ms = DEADLINE) {
    await until(() => this.ended, 'the connection to end', ms);
  }

  destroy() {
    this.socket.destroy();
  }

  /** Ends the connection the hard way: with a RST. */
  reset() {
    this.socket.resetAndDestroy();
  }
}

/**
 * A TCP connection on which nothing was said yet. It ends with the server process at the latest. `more` goes to `net.connect`;
 * with `deaf` it never reads what comes, with `secure` (options of `tls.connect`) it is encrypted.
 */
export async function tcp(server, { deaf = false, secure, ...more } = {}) {
  const where = { host: '127.0.0.1', port: server.port, ...more };
  const socket = secure ? tls.connect({ ...where, rejectUnauthorized: false, ...secure }) : net.connect(where);
  const raw = new Raw(socket, deaf);
  server.raws.push(raw);
  let ready = false;
  socket.once(secure ? 'secureConnect' : 'connect', () => (ready = true));
  await until(() => ready || raw.error || raw.ended, 'a connection');
  if (raw.error) throw raw.error;
  return raw;
}

/** An open WebSocket connection. */
export async function open(server, { target = '/', headers = {}, behind = '', ...more } = {}) {
  const raw = await tcp(server, more);
  raw.write(Buffer.concat([Buffer.from(request(target, headers)), Buffer.from(behind)]));
  const status = await raw.answer();
  if (status !== 101) throw new Error(`refused: ${raw.head}`);
  return raw;
}

/**
 * Sends to a socket whose client does not read, until this many bytes wait that the system does not take. `neighbour` is a
 * client of the same I/O thread, of which there must be one only: what it hears says that the thread has tried.
 */
export const fill = (server, neighbour, id, bytes) =>
  until(
    async () => {
      const more = (wsb, kit, id, bytes) => {
        const part = 'x'.repeat(50_000);
        while (wsb.bufferedAmount(id) < bytes) wsb.send(id, part);
      };
      await server.main(more, id, bytes);
      for (let i = 0; i < 3; i++) await neighbour.fence();
      return server.main((wsb, kit, id, bytes) => wsb.slowSockets(100).some((slow) => slow.socketId === id && slow.bufferedBytes >= bytes), id, bytes);
    },
    'a socket to be slow',
    60_000,
  );
