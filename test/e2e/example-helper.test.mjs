// example/helper without its page: what the server lets in, what it tells whom, and what anybody on the way can read of it.

import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { check, issue } from '../../example/helper/tickets.mjs';
import { ENDED, startExample } from './example.mjs';
import { onBun, runtime, until } from './harness.mjs';
import { Client, messagesIn, tap, ticketFor } from './secure-client.mjs';

const SCRIPT = 'example/helper/server.mjs';
const hasRedis = spawnSync('redis-server', ['--version']).status === 0;
const skip = hasRedis ? false : 'no redis-server; enable with: apt-get install redis-server';

for (const transport of onBun ? ['native', 'bun'] : ['native']) {
  describe(`example/helper on sockets of ${transport === 'bun' ? 'Bun' : 'the broker'}`, { skip, timeout: 240_000 }, () => {
    let server;
    const clients = [];
    const env = { TRANSPORT: transport };

    before(async () => {
      server = await startExample(SCRIPT, env);
    });
    after(async () => {
      for (const client of clients) client.close();
      await server?.stop();
    });

    /** Closed at the end, however that comes. */
    const kept = (client) => (clients.push(client), client);
    const connect = async () => kept(await Client.connect(server.ports.WS_PORT));
    const signIn = async (name, options) => kept(await Client.signIn(server, name, options));
    /** Signed in, and seen by the others. */
    const enter = async (name, room, options) => {
      const client = await signIn(name, options);
      client.enter(room);
      await client.hears('people', ({ people }) => people.includes(name));
      return client;
    };
    const gone = async (...those) => {
      for (const client of those) client.socket.close();
      for (const client of those) await client.closed;
    };

    test('those in a room hear what is said there, and see who comes and goes', async () => {
      const ada = await enter('Ada', 'lobby');
      const bob = await enter('Bob', 'lobby');
      assert.deepEqual((await ada.hears('people', ({ people }) => people.length === 2)).people, ['Ada', 'Bob']);
      const outside = await signIn('Cid');

      ada.say('say', { room: 'lobby', text: 'Good morning' });
      for (const each of [ada, bob]) {
        const { room, from, text } = await each.hears('said');
        assert.deepEqual({ room, from, text }, { room: 'lobby', from: 'Ada', text: 'Good morning' });
      }
      outside.say('say', { room: 'lobby', text: 'I am not in there' });
      await outside.hears('problem', ({ text }) => text.includes('room that you are in'));
      assert.deepEqual(outside.heard, [], 'and hears nothing of it');

      bob.say('exit', { room: 'lobby' });
      await ada.hears('people', ({ people }) => !people.includes('Bob'));
      bob.say('say', { room: 'lobby', text: 'after I left' });
      await bob.hears('problem');
      // A second window, which just disappears.
      const second = await enter('Bob', 'lobby');
      await ada.hears('people', ({ people }) => people.includes('Bob'));
      second.close();
      await ada.hears('people', ({ people }) => !people.includes('Bob'));
      assert.deepEqual(ada.heard.filter(({ event }) => event === 'said'), []);
      await gone(ada, bob, outside);
    });

    test('only members enter a room for members, and nobody a room that does not exist', async () => {
      const grace = await enter('Grace', 'office');
      const eve = await signIn('Eve');
      for (const room of ['office', 'nowhere', eve.id, grace.id]) {
        eve.enter(room);
        assert.deepEqual(await eve.hears('refused'), { room });
      }
      // Asked for along with one that is allowed.
      eve.clear('join', { rooms: ['office', 'kitchen'] });
      eve.say('enter', { room: 'office' });
      await eve.hears('refused');
      eve.say('enter', { room: 'kitchen' });
      await eve.hears('people', ({ room }) => room === 'kitchen');
      grace.say('say', { room: 'office', text: 'among us' });
      await grace.hears('said');
      eve.say('say', { room: 'kitchen', text: 'anybody?' });
      assert.equal((await eve.hears('said')).room, 'kitchen', 'the first thing that she hears');
      await gone(grace, eve);
    });

    test('a direct message reaches all windows of a user, and the sender\'s own others', async () => {
      const windows = [await signIn('Ida'), await signIn('Ida')];
      const [jan, other] = [await signIn('Jan'), await signIn('Jan')];
      const uninvolved = await signIn('Kim');
      jan.say('direct', { to: 'Ida', text: 'Lunch?' });
      for (const each of [...windows, jan, other]) {
        const { from, to, text } = await each.hears('direct');
        assert.deepEqual({ from, to, text }, { from: 'Jan', to: 'Ida', text: 'Lunch?' });
      }
      jan.say('direct', { to: 'Nobody', text: 'Hello?' });
      assert.equal((await jan.hears('problem')).text, 'Nobody is not here.');
      jan.say('direct', { to: 'Jan', text: 'to myself' });
      for (const each of [jan, other]) await each.hears('direct', ({ text }) => text === 'to myself');
      uninvolved.say('direct', { to: 'Kim', text: 'only this' });
      await uninvolved.hears('direct', ({ text }) => text === 'only this');
      assert.deepEqual([...uninvolved.heard, ...jan.heard, ...windows[0].heard], []);
      await gone(...windows, jan, other, uninvolved);
    });

    test('a process without sockets announces to everybody: asked by a client, or from a shell', async () => {
      const [lea, max] = [await signIn('Lea'), await signIn('Max')];
      lea.say('announce', { text: 'Fire drill at noon' });
      const heard = [];
      for (const each of [lea, max]) heard.push(await each.hears('announcement'));
      assert.deepEqual(heard[0], heard[1]);
      assert.deepEqual([heard[0].text, heard[0].from], ['Fire drill at noon', 'Lea']);
      assert.equal(typeof heard[0].pid, 'number');

      const url = /Redis at (redis:\S+)\)/u.exec(server.output())[1];
      await promisify(execFile)(runtime, ['example/helper/announce.mjs', 'The cake is here'], { env: { ...process.env, REDIS_URL: url }, timeout: 60_000 });
      for (const each of [lea, max]) assert.equal((await each.hears('announcement')).from, 'the house');
      await gone(lea, max);
    });

    test('nonsense is answered, encrypted, and the line goes on', async () => {
      const client = await signIn('Nora');
      for (const [event, data] of [['constructor', {}], ['say', null], ['say', { room: 'lobby', text: 7 }], ['direct', { to: ['Nora'], text: 'x' }], ['say', { room: 'lobby', text: 'x'.repeat(1001) }], [undefined, {}]]) {
        client.say(event, data);
        await client.hears('problem');
      }
      client.say('enter', { room: { toString: 1 } });
      await client.hears('refused');
      client.socket.send('{');
      assert.equal((await client.hears('error')).message, 'Invalid message format');
      assert.ok(client.frames.slice(1).every((text) => text.startsWith('{"event":"encrypted"')), 'also what the helper itself says');
      await gone(client);
    });

    test('behind connected nothing that the server sends can be read on the wire', async () => {
      const wire = kept(await tap(server.ports.WS_PORT));
      const [watched, other] = [await enter('Margaret Hamilton', 'kitchen', { port: wire.port }), await enter('Katherine Johnson', 'kitchen')];
      other.say('say', { room: 'kitchen', text: 'the launch code is swordfish' });
      await watched.hears('said');
      other.say('direct', { to: 'Margaret Hamilton', text: 'burn after reading' });
      await watched.hears('direct');
      other.say('announce', { text: 'elevator maintenance' });
      await watched.hears('announcement');
      watched.socket.send('no json');
      await watched.hears('error');
      watched.say('direct', { to: 'Katherine Johnson', text: 'I have read it' });
      await watched.hears('direct');

      const sent = messagesIn(wire.fromServer());
      assert.deepEqual(sent, watched.frames, 'the tap sees what the client sees');
      assert.deepEqual(Object.keys(JSON.parse(sent[0]).data), ['id', 'userId', 'time', 'serverPublicKey', 'salt'], 'all that is in clear');
      assert.ok(sent.length >= 7);
      for (const [i, text] of sent.slice(1).entries()) {
        assert.match(text, /^\{"event":"encrypted","data":\{"n":\d+,"c":"[\w-]+"\}\}$/u);
        assert.equal(JSON.parse(text).data.n, i + 1, 'no number comes twice: it is the nonce');
      }
      const behind = sent.slice(1).join('\n');
      for (const secret of ['swordfish', 'burn after', 'maintenance', 'read it', 'kitchen', 'Hamilton', 'Johnson', 'announcement', 'Invalid message']) {
        assert.equal(behind.includes(secret), false, `"${secret}" is on the wire`);
        assert.equal(behind.includes(Buffer.from(secret).toString('base64url').slice(1, -2)), false);
      }
      await gone(watched, other);
    });

    test('each connection has keys of its own', async () => {
      const [one, two] = [await signIn('Olga'), await signIn('Olga')];
      const all = [one, two].flatMap(({ keys, frames }) => [keys.out, keys.back].map((key) => key.toString('hex')).concat(JSON.parse(frames[0]).data.salt, JSON.parse(frames[0]).data.serverPublicKey));
      assert.equal(new Set(all).size, 8);
      await gone(one, two);
    });

    test('what is not exactly what was sent closes the connection, and reaches nobody', async () => {
      const witness = await enter('Petra', 'lobby');
      const message = { room: 'lobby', text: 'forged' };
      const flip = (text, at) => {
        const bytes = Buffer.from(text, 'base64url');
        bytes[at < 0 ? bytes.length + at : at] ^= 1;
        return bytes.toString('base64url');
      };
      const stranger = await signIn('Quinn');
      const forged = (client) => client.seal('say', message);
      const changed = (change) => (client) => {
        const sealed = forged(client);
        return [{ ...sealed, ...change(sealed) }];
      };
      const attacks = {
        'a bit of the ciphertext': changed(({ c }) => ({ c: flip(c, 0) })),
        'a bit of the tag': changed(({ c }) => ({ c: flip(c, -1) })),
        'a shortened one': changed(({ c }) => ({ c: c.slice(0, -4) })),
        'no base64': changed(() => ({ c: '§$%' })),
        'no text': changed(() => ({ c: 7 })),
        'another number': changed(({ n }) => ({ n: n + 1 })),
        'a number as text': changed(({ n }) => ({ n: `${n}` })),
        'a number that is not whole': changed(({ n }) => ({ n: n + 0.5 })),
        'one left out': (client) => [forged(client), forged(client)].slice(1),
        'two swapped': (client) => [forged(client), forged(client)].reverse(),
        'the same again': (client) => Array(2).fill(client.seal('exit', { room: 'nowhere' })),
        'that of another connection': () => [forged(stranger)],
        'what the server sent': ({ frames }) => [JSON.parse(frames.at(-1)).data],
        nothing: () => [null],
      };
      for (const [what, attack] of Object.entries(attacks)) {
        const client = await enter('Mallory', 'lobby');
        for (const data of attack(client)) client.clear('encrypted', data);
        assert.deepEqual(await client.closed, { code: 4010, reason: 'Message refused' }, what);
      }
      const clear = await enter('Mallory', 'lobby');
      clear.clear('say', message);
      assert.equal((await clear.closed).code, 4010, 'in clear');

      const honest = await enter('Honest', 'lobby');
      honest.say('say', { room: 'lobby', text: 'genuine' });
      assert.equal((await witness.hears('said')).text, 'genuine', 'the only thing that was ever said');
      assert.deepEqual(witness.heard.filter(({ event }) => event === 'said'), []);
      await gone(witness, stranger, honest);
    });

    test('without a good ticket there is no way in', async () => {
      const [content, signature] = (await ticketFor(server.url, 'Rosa')).split('.');
      const other = Buffer.from(JSON.stringify({ name: 'Ada', until: Date.now() + 30_000 })).toString('base64url');
      const old = Buffer.from(JSON.stringify({ name: 'Rosa', until: 1 })).toString('base64url');
      for (const ticket of [undefined, null, 7, '', '.', 'x', content, `${content}.`, `${content}.${signature.slice(0, -6)}`, `${other}.${signature}`, `${old}.${signature}`]) {
        const client = await connect();
        client.authenticate(ticket);
        assert.deepEqual(await client.closed, { code: 4003, reason: 'Authentication failed' });
        assert.deepEqual(client.heard, [{ event: 'error', data: { message: 'Authentication failed' } }]);
      }
      const early = await connect();
      early.clear('join', { rooms: ['lobby'] });
      assert.deepEqual(await early.hears('error'), { message: 'Not authenticated' });
      early.close();
    });

    test('without a good public key there is no way in', async () => {
      const point = Buffer.alloc(65, 1);
      point[0] = 4;
      for (const publicKey of [null, '', 'AAAA', '§', 7, {}, point.toString('base64url'), Buffer.alloc(65).toString('base64url'), Buffer.alloc(10_000, 4).toString('base64url')]) {
        const client = await connect();
        client.authenticate(await ticketFor(server.url, 'Sam'), publicKey);
        assert.deepEqual(await client.closed, { code: 4004, reason: 'Encryption required' });
        assert.deepEqual(client.heard, [{ event: 'error', data: { message: 'Encryption handshake failed' } }]);
      }
    });

    test('names are checked where tickets are given, and there is nothing else to be had', async () => {
      const login = (body, init) => fetch(`${server.url}/login`, { method: 'POST', body, ...init });
      for (const name of ['', ' ', 7, null, '<b>', 'x'.repeat(25), 'a\nb\u0000']) assert.equal((await login(JSON.stringify({ name }))).status, 400, JSON.stringify(name));
      for (const body of ['{', 'null', '[]', `{"name":"${'x'.repeat(2000)}"}`]) assert.equal((await login(body)).status, 400);
      assert.equal((await (await login('{"name":"  Ada   Lovelace "}')).json()).name, 'Ada Lovelace');
      assert.equal((await login(undefined, { method: 'GET', body: undefined })).status, 405);
      assert.equal((await fetch(`${server.url}/../server.mjs`)).status, 404);
      assert.equal((await fetch(server.url, { method: 'POST' })).status, 405);
      assert.equal((await fetch(`http://127.0.0.1:${server.ports.WS_PORT}/`)).status, 404);
      assert.equal((await fetch(`http://127.0.0.1:${server.ports.WS_PORT}/ws`)).status, 426);
    });

    test('a client that says nothing for three heartbeats is closed, who sends them stays', async () => {
      const quick = await startExample(SCRIPT, { ...env, HEARTBEAT_SECONDS: '2' });
      let beat;
      try {
        const [silent, lively] = [kept(await Client.signIn(quick, 'Tom')), kept(await Client.signIn(quick, 'Uma'))];
        beat = setInterval(() => lively.clear('heartbeat'), 200);
        assert.deepEqual(await silent.closed, { code: 4002, reason: 'Heartbeat timeout' });
        lively.say('direct', { to: 'Uma', text: 'still here' });
        await lively.hears('direct');
      } finally {
        clearInterval(beat);
        await quick.stop();
      }
    });

    test('it ends by itself, says so to the pages, and takes its Redis along', async () => {
      const brief = await startExample(SCRIPT, env);
      const port = Number(/Redis at redis:\/\/127\.0\.0\.1:(\d+)/u.exec(brief.output())[1]);
      const client = kept(await Client.signIn(brief, 'Vera'));
      assert.equal(await brief.stop(), ENDED);
      assert.equal((await client.closed).code, 1001);
      await until(() => refused(port), 'the end of redis-server');
    });

    test('the server has complained about nothing but what was refused', () => {
      const lines = server.output().split('\n').filter((line) => line !== '' && !/^(Redis is ready\.|Rooms at )/u.test(line));
      // A client that leaves while a room speaks misses what is on its way, and the server says so.
      const missed = /^\[WebSocketServerHelper\] \d+ message\(s\) to clients dropped: their sockets are over the limit or closing/u;
      assert.deepEqual(lines.filter((line) => !/^client [\w-]+ is closed: /u.test(line) && !missed.test(line)), []);
      assert.ok(lines.length > 0);
    });
  });
}

test('a ticket is good for half a minute', () => {
  const ticket = issue('Rosa');
  const now = Date.now();
  assert.equal(check(ticket, now + 25_000), 'Rosa');
  assert.equal(check(ticket, now + 30_001), undefined);
});

test('what is missing or wrong is said in a line', { skip }, async () => {
  const run = (env) => {
    const { status, stderr } = spawnSync(runtime, [SCRIPT], { env: { ...process.env, PORT: '0', WS_PORT: '0', ...env }, encoding: 'utf8', timeout: 60_000 });
    return { status, stderr };
  };
  const noRedis = run({ PATH: '/nowhere', REDIS_URL: '' });
  assert.equal(noRedis.status, 1);
  assert.match(noRedis.stderr, /no redis-server[\s\S]*apt-get install redis-server[\s\S]*REDIS_URL=\S+ node example\/helper\/server\.mjs/u);
  assert.deepEqual(run({ PORT: 'x' }), { status: 1, stderr: 'PORT must be a whole number from 0 to 65534, got "x"\n' });
  assert.match(run({ TRANSPORT: 'carrier pigeon' }).stderr, /^TRANSPORT must be native or, on Bun, bun; got "carrier pigeon"\n$/u);
  const taken = net.createServer();
  await new Promise((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address();
  try {
    for (const variable of ['PORT', 'WS_PORT']) {
      const { status, stderr } = run({ [variable]: `${port}` });
      assert.equal(status, 1);
      assert.ok(stderr.includes(`Port ${port} on 127.0.0.1 is in use. Stop the program that has it, or choose another: ${variable}=`), stderr);
    }
  } finally {
    taken.close();
  }
});

function refused(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => (socket.destroy(), resolve(false)));
    socket.once('error', () => resolve(true));
  });
}
