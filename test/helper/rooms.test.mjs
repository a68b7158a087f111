// Sections 8 and G: who is in which room.
import assert from 'node:assert/strict';

import { deferred, onFakes, rule, spy, world } from './world.mjs';

const all = ({ rooms }) => rooms;
const joins = (client, ...rooms) => client.send({ event: 'join', data: { rooms } });
const own = (client) => [...client.entry.rooms].filter((room) => room !== client.id && !room.startsWith('ws-'));

onFakes('joinRoom and leaveRoom take any name, in any state, and twice does no harm', async (t) => {
  const w = await world(t);
  const client = await w.connect({ id: 'one' });
  for (const room of ['ws:any', '', 'x'.repeat(300), 'two']) {
    w.helper.joinRoom({ clientId: 'one', room });
    w.helper.joinRoom({ clientId: 'one', room });
    assert.equal(w.helper.countRoom({ room }), 1);
    assert.ok(client.entry.rooms.has(room) && client.socket.isSubscribed(room));
    w.helper.leaveRoom({ clientId: 'one', room });
    w.helper.leaveRoom({ clientId: 'one', room });
    assert.equal(w.helper.countRoom({ room }), 0);
    assert.ok(!client.entry.rooms.has(room) && !client.socket.isSubscribed(room));
  }
  w.helper.joinRoom({ clientId: 'nobody', room: 'r' });
  w.helper.leaveRoom({ clientId: 'nobody', room: 'r' });
  assert.deepEqual(w.helper.getClientsByRoom({ room: 'r' }), []);
});

onFakes('leaveRoom unsubscribes always, also what is encrypted or never joined', async (t) => {
  const w = await world(t, { outboundTransformer: () => null });
  const client = await w.member();
  w.helper.enableClientEncryption({ clientId: client.id });
  client.socket.calls.length = 0;
  w.helper.leaveRoom({ clientId: client.id, room: 'never' });
  assert.deepEqual(client.socket.calls, [['unsubscribe', 'never']]);
});

onFakes('a client joins what validateRoomFn returns of what it asked for', async (t) => {
  for (const wrapped of [(rooms) => rooms, (rooms) => Promise.resolve(rooms)]) {
    const validated = spy(() => wrapped(['b', 'stranger', 'a', 'ws-default', 5]));
    const w = await world(t, { validateRoomFn: validated });
    const client = await w.member({ user: 'u' });
    joins(client, 'a', 'b', 'c', 'a');
    await w.idle();
    assert.deepEqual(validated.calls, [[{ clientId: client.id, userId: 'u', rooms: ['a', 'b', 'c', 'a'] }]]);
    assert.deepEqual(own(client), ['b', 'a']);
    assert.ok(client.socket.isSubscribed('a'));
    assert.deepEqual(client.take(), [], 'never answered');
  }
});

rule('what the application does to the list it gets does not widen what was asked for', async (t) => {
  const w = await world(t, { validateRoomFn: ({ rooms }) => (rooms.push('more'), rooms) });
  const client = await w.member();
  joins(client, 'a');
  await w.idle();
  assert.deepEqual(own(client), ['a']);
});

rule('something that is not a list, or is an empty one, is ignored', async (t) => {
  const validated = spy(all);
  const w = await world(t, { validateRoomFn: validated });
  const client = await w.member();
  for (const data of [undefined, null, 1, 'a', {}, { rooms: null }, { rooms: 'a' }, { rooms: { 0: 'a', length: 1 } }, { rooms: [] }, ['a']]) {
    client.send({ event: 'join', data });
    client.send({ event: 'leave', data });
  }
  await w.idle();
  assert.equal(validated.calls.length, 0);
  assert.deepEqual(client.take(), []);
});

rule('names are strings of 1 to 256 units that do not start with ws:', async (t) => {
  const validated = spy(all);
  const w = await world(t, { validateRoomFn: validated });
  const client = await w.member();
  const good = ['a', 'x'.repeat(256), '🙂'.repeat(128), 'WS:a', 'ws', 'ws-default', 'a ws:', ' '];
  joins(client, ...good, '', 'x'.repeat(257), '🙂'.repeat(129), 'ws:', 'ws:internal:broadcast', 1, null, ['a'], { a: 1 });
  await w.idle();
  assert.deepEqual(validated.calls[0][0].rooms, good);
  joins(client, '', 'ws:x', 7);
  await w.idle();
  assert.equal(validated.calls.length, 1, 'none left: nothing to validate');
  assert.ok(w.log.matching(/asks for no room/).length > 0);
});

rule('without validateRoomFn nothing is joined', async (t) => {
  const w = await world(t);
  const client = await w.member();
  joins(client, 'a');
  await w.idle();
  assert.deepEqual(own(client), []);
  assert.ok(w.log.matching(/no validateRoomFn/).length > 0);
  assert.deepEqual(client.take(), []);
});

rule('an empty answer, no array, a rejection or a throw joins nothing, and is logged', async (t) => {
  for (const answer of [() => [], () => undefined, () => null, () => 'a', () => ({ 0: 'a', length: 1 }), () => new Set(['a']), async () => { throw new Error('no'); }, () => { throw new Error('no'); }]) {
    const w = await world(t, { validateRoomFn: answer });
    const client = await w.member();
    const lines = w.log.lines.length;
    joins(client, 'a');
    await w.idle();
    assert.deepEqual(own(client), []);
    assert.deepEqual([client.take(), client.ended], [[], undefined]);
    assert.equal(w.log.lines.length, lines + 1);
  }
});

onFakes('an answer for an entry that has gone joins nobody', async (t) => {
  const verdict = deferred();
  const w = await world(t, { validateRoomFn: () => verdict.promise });
  const client = await w.member({}, { id: 'one' });
  joins(client, 'a');
  client.close();
  const again = await w.member({}, { id: 'one' });
  verdict.resolve(['a']);
  await w.idle();
  assert.deepEqual(own(again), []);
  assert.equal(w.helper.countRoom({ room: 'a' }), 0);
});

onFakes('a client leaves only rooms that it is in, its own and the default ones too, and never the broadcast', async (t) => {
  const w = await world(t, { validateRoomFn: all });
  const client = await w.member({}, { id: 'one' });
  joins(client, 'a', 'b');
  await w.idle();
  client.socket.calls.length = 0;
  client.send({ event: 'leave', data: { rooms: ['a', 'never', 'ws:internal:broadcast', 'ws-default', 5, null, 'one'] } });
  await w.idle();
  assert.deepEqual([...client.entry.rooms], ['ws-notification', 'b']);
  assert.deepEqual(client.socket.calls, [['unsubscribe', 'a'], ['unsubscribe', 'ws-default'], ['unsubscribe', 'one']]);
  w.helper.sendToClient({ clientId: 'one', event: 'x', data: 1 });
  w.remote({ serverId: 'emitter', type: 'client', target: 'one', event: 'y', data: 1 }, 'ws:client:one');
  w.remote({ serverId: 'other', type: 'room', target: 'one', event: 'z', data: 1 }, 'ws:room:one');
  await w.idle();
  assert.deepEqual(client.take().map(({ event }) => event), ['x', 'y'], 'no remote send any more');
});

rule('default rooms may be joined again if validated', async (t) => {
  const w = await world(t, { validateRoomFn: all, defaultRooms: ['ws-default'] });
  const client = await w.member();
  client.send({ event: 'leave', data: { rooms: ['ws-default'] } });
  await w.idle();
  assert.ok(!client.entry.rooms.has('ws-default'));
  joins(client, 'ws-default');
  await w.idle();
  assert.ok(client.entry.rooms.has('ws-default'));
});

rule('only so many names of one join are looked at', async (t) => {
  const validated = spy(() => []);
  const w = await world(t, { maxRoomsPerClient: 5, validateRoomFn: validated });
  const client = await w.member();
  joins(client, 1, 2, 3, 'a', 'b', 'c');
  await w.idle();
  assert.deepEqual(validated.calls[0][0].rooms, ['a', 'b']);
  assert.equal(w.log.matching(/cut to 5 rooms/).length, 1);
  const usual = await world(t, { validateRoomFn: validated });
  const other = await usual.member();
  joins(other, ...Array.from({ length: 2000 }, (_, i) => `r${i}`));
  await usual.idle();
  assert.equal(validated.calls[1][0].rooms.length, 1024);
});

rule('a client is in so many rooms by asking; its own and the default ones count, those of the application are not limited', async (t) => {
  const w = await world(t, { maxRoomsPerClient: 5, validateRoomFn: all });
  const client = await w.member();
  joins(client, 'a', 'b', 'c', 'd');
  await w.idle();
  assert.deepEqual(own(client), ['a', 'b']);
  assert.equal(w.log.matching(/2 room\(s\) not joined/).length, 1);
  joins(client, 'a', 'e');
  await w.idle();
  assert.deepEqual(own(client), ['a', 'b']);
  assert.equal(w.log.matching(/not joined/).length, 1, 'a client cannot fill the log');
  client.send({ event: 'leave', data: { rooms: ['a'] } });
  joins(client, 'e');
  await w.idle();
  assert.deepEqual(own(client), ['b', 'e']);
  w.helper.joinRoom({ clientId: client.id, room: 'more' });
  assert.equal(client.entry.rooms.size, 6);
  const free = await world(t, { maxRoomsPerClient: Infinity, validateRoomFn: all });
  const other = await free.member();
  joins(other, ...Array.from({ length: 3000 }, (_, i) => `r${i}`));
  await free.idle();
  assert.equal(other.entry.rooms.size, 3003);
});

rule('a room that a client is in already is not refused when it is in as many as it may be', async (t) => {
  const w = await world(t, { maxRoomsPerClient: 4, validateRoomFn: all });
  const client = await w.member();
  joins(client, 'a');
  await w.idle();
  joins(client, 'a', 'b');
  await w.idle();
  assert.equal(w.log.matching(/1 room\(s\) not joined/).length, 1);
});

rule('names that wait for validateRoomFn are bounded; when it has answered there is room again', async (t) => {
  const answers = [];
  const validated = spy(({ rooms }) => new Promise((resolve) => answers.push(() => resolve(rooms))));
  const w = await world(t, { maxRoomsPerClient: 5, validateRoomFn: validated });
  const client = await w.member();
  for (let i = 0; i < 100; i++) joins(client, `a${i}`, `b${i}`, `c${i}`);
  await w.idle();
  assert.equal(validated.calls.length, 6, 'eighteen names of twenty');
  assert.equal(w.log.matching(/earlier joins of the client are not answered yet/).length, 1, 'a client cannot fill the log');
  for (const answer of answers.splice(0)) answer();
  await w.idle();
  assert.deepEqual(own(client), ['a0', 'b0']);
  client.send({ event: 'leave', data: { rooms: ['a0'] } });
  joins(client, 'late');
  await w.idle();
  assert.equal(validated.calls.length, 7);
  for (const answer of answers) answer();
  await w.idle();
  assert.deepEqual(own(client), ['b0', 'late']);
});

rule('a validateRoomFn that answers with other names than it was given joins nothing, which the log says in one line', async (t) => {
  const w = await world(t, { validateRoomFn: ({ rooms }) => rooms.map((room) => `tenant:${room}`) });
  const client = await w.member();
  for (let i = 0; i < 3; i++) joins(client, 'a', 'b');
  await w.idle();
  assert.deepEqual(own(client), []);
  assert.equal(w.log.matching(/^warn: validateRoomFn answered 1 join\(s\) only with names that were not asked for/).length, 1);
});

rule('a validateRoomFn that answers with all that is allowed is understood, and not complained of', async (t) => {
  const w = await world(t, { validateRoomFn: () => ['a', 'b', 'c'] });
  const client = await w.member();
  joins(client, 'a', 'z');
  await w.idle();
  assert.deepEqual(own(client), ['a']);
  assert.equal(w.log.matching(/^(warn|error)/).length, 0);
});

onFakes('names of a join that is answered do not wait any more, whatever the answer is', async (t) => {
  for (const answer of [() => { throw new Error('no'); }, () => Promise.reject(new Error('no')), () => [], () => Promise.resolve([])]) {
    let early = true;
    const w = await world(t, { maxRoomsPerClient: 4, validateRoomFn: ({ rooms }) => (early ? answer() : rooms) });
    const client = await w.member();
    // Each alone is within the bound of 16 names, together they are far beyond.
    for (let i = 0; i < 20; i++) {
      joins(client, 'a', 'b');
      await w.idle();
    }
    early = false;
    joins(client, 'a');
    await w.idle();
    assert.deepEqual(own(client), ['a']);
    assert.equal(w.log.matching(/name too many rooms/).length, 0);
  }
});
