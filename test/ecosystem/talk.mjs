// What the chats of h3 and of Nitro have in common: the same hooks, found in two ways.
import assert from 'node:assert/strict';

/** A client with what the server has said first, as `welcome`. */
export async function open(server, where) {
  const client = await server.connect(where, { id: false });
  client.welcome = JSON.parse(await client.next());
  return client;
}

/** Two clients of `/chat`, on two workers, hear each other and that one leaves. */
export async function hearEachOther(server) {
  const [ada, bob] = [await open(server, '/chat?user=ada'), await open(server, '/chat?user=bob')];
  assert.deepEqual(ada.welcome, { user: 'ada', namespace: '/chat' });
  const { workers } = await server.main((wsb) => wsb.stats());
  assert.deepEqual(workers.map(({ connections }) => connections), [1, 1]);
  ada.send('hello');
  assert.deepEqual(JSON.parse(await bob.next()), { from: 'ada', text: 'hello' });
  await ada.close();
  assert.equal(await bob.next(), 'ada left');
}
