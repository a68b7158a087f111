// A process that did not run for a while, as in a virtual machine that was paused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { launch } from './harness.mjs';
import { open, PING } from './raw.mjs';

test('clients that could not be pinged for idleTimeout are asked before they are cut', async (t) => {
  const idleTimeout = 1000;
  const server = await launch(t, { options: { idleTimeout } });
  const client = await server.connect(); // it answers pings
  const mute = await open(server);
  assert.deepEqual(await client.fence(), []);
  server.child.kill('SIGSTOP');
  // What passes is the time itself.
  await sleep(2 * idleTimeout);
  server.child.kill('SIGCONT');
  await mute.frame(PING);
  await mute.end();
  assert.deepEqual(await client.fence(), []);
  assert.equal(client.ended, undefined);
  const { closes } = await server.main((wsb) => wsb.stats());
  assert.equal(closes.idleTimeout, 1, 'only the one that does not answer');
});
