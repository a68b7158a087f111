// Peers that run into limits on purpose: of connections, addresses and memory.
import assert from 'node:assert/strict';

import { until } from '../e2e/harness.mjs';
import { BINARY, closeFrame, frame, request, TEXT } from '../e2e/raw.mjs';
import { many, MiB, site, sized } from './kit.mjs';

const onLinux = process.platform === 'linux';
const skip = onLinux ? false : 'clients come from several addresses of 127.0.0.0/8, which only Linux has';
const tally = (statuses) => statuses.reduce((sum, status) => ({ ...sum, [status]: (sum[status] ?? 0) + 1 }), {});

const PER_IP = 20;

if (onLinux) {
  site('one address', { options: { maxConnectionsPerIp: PER_IP, handshakeTimeout: 500 }, from: '127.0.0.2' }, (attack) => {
    attack(
      'that takes all its connections gets 429 for more, and others are let in',
      async (place) => {
        const mine = await Promise.all(Array.from({ length: PER_IP }, () => place.open()));
        const more = await Promise.all(Array.from({ length: 30 }, () => place.say(request())));
        assert.deepEqual(tally(more.map((one) => one.status)), { 429: 30 });
        const other = await place.open({ localAddress: '127.0.0.3' });
        other.write(frame(TEXT, 'hello'));
        assert.equal((await other.frame(TEXT)).text, 'hello');
        mine[0].reset();
        await until(async () => (await place.say(request())).status === 101, 'a place to be free again');
      },
      { skip },
    );

    attack(
      'that lies about itself in headers gets 429 all the same',
      async (place) => {
        await Promise.all(Array.from({ length: PER_IP }, () => place.open()));
        for (let n = 0; n < 10; n++) {
          const forged = { 'X-Forwarded-For': `10.0.0.${n}`, Forwarded: `for=10.0.0.${n}`, 'X-Real-IP': `10.0.0.${n}` };
          assert.equal((await place.say(request('/', forged))).status, 429);
        }
      },
      { skip, expect: { opens: PER_IP }, counts: { rejected: { maxConnectionsPerIp: 10 } } },
    );

    attack(
      'whose handshakes never end holds its own places only, and not for long',
      async (place) => {
        const silent = await Promise.all(Array.from({ length: PER_IP }, () => place.tcp()));
        await until(async () => (await place.say(request())).status === 429, 'all its places to be taken');
        const other = await place.open({ localAddress: '127.0.0.3' });
        other.destroy();
        await Promise.all(silent.map((one) => one.end()));
        assert.equal((await place.say(request())).status, 101);
      },
      { skip },
    );

    attack(
      'that comes and goes as fast as it can is never over its limit, and loses no place',
      async (place) => {
        const statuses = [];
        await many(sized(600, 5000), 60, async (n) => {
          const one = await place.say(request());
          statuses.push(one.status);
          if (n % 2) one.reset();
          else one.destroy();
        });
        assert.deepEqual(Object.keys(tally(statuses)).filter((status) => !['101', '429'].includes(status)), []);
        await until(async () => (await place.others()) === 0, 'all to be gone');
        let last;
        for (let n = 0; n < PER_IP; n++) last = await until(async () => { const one = await place.say(request()); return one.status === 101 && one; }, 'a place');
        assert.equal((await place.say(request())).status, 429, 'neither more places nor fewer');
        last.destroy();
      },
      { skip },
    );
  });
}

site('all connections taken', { options: { maxConnections: 32 } }, (attack) => {
  attack('more get 503, those that are in stay in', async (place) => {
    const mine = await Promise.all(Array.from({ length: 30 }, () => place.open()));
    const more = await Promise.all(Array.from({ length: 50 }, () => place.say(request())));
    assert.deepEqual(tally(more.map((one) => one.status)), { 503: 50 });
    for (const one of mine) one.write(frame(TEXT, 'still here'));
    for (const one of mine) assert.equal((await one.frame(TEXT)).text, 'still here');
    mine[0].write(closeFrame(1000));
    await mine[0].end();
    await until(async () => (await place.say(request())).status === 101, 'a place to be free again');
  });

  attack('connections that never ask for anything hold a place, too, until they are cut', async (place) => {
    const silent = await Promise.all(Array.from({ length: 30 }, () => place.tcp()));
    await until(async () => (await place.say(request())).status === 503, 'all places to be taken');
    for (const one of silent) one.reset();
    await until(async () => (await place.say(request())).status === 101, 'a place to be free again');
  });
});

site('unfinished messages beyond maxReceiveMemory', { options: { maxReceiveMemory: 4 * MiB, maxPayload: 8 * MiB }, aside: true }, (attack) => {
  attack(
    'are closed with 1013, the largest first',
    async (place) => {
      const small = await place.open();
      small.write(frame(TEXT, 'small', { fin: false }));
      const all = await Promise.all(Array.from({ length: 10 }, () => place.open()));
      const part = frame(BINARY, Buffer.alloc(MiB), { fin: false });
      for (const one of all) one.write(part);
      await until(() => all.filter((one) => one.ended).length >= 6, 'most of them to be closed');
      assert.ok(all.every((one) => !one.frames[0] || one.frames[0].code === 1013));
      small.write(frame(0, ' one'));
      assert.equal((await small.frame(TEXT)).text, 'small one');
    },
    { most: 24 * MiB, tolerance: 8 * MiB },
  );
});

site('echoes beyond maxSendMemory', { options: { maxSendMemory: 4 * MiB, maxBackpressure: 2 * MiB, closeTimeout: 500 }, aside: true }, (attack) => {
  attack(
    'cost the slowest sockets their connections, 1013',
    async (place) => {
      const all = await Promise.all(Array.from({ length: 8 }, () => place.open({ target: '/subscribe' })));
      for (const one of all) one.stopReading();
      await until(async () => {
        await place.server.main((wsb) => void wsb.sendToChannel('news', 'x'.repeat(200_000)));
        return (await place.server.main((wsb) => wsb.subscriberCount('news'))) === 0;
      }, 'all to be closed', 30_000);
    },
    // While the memory is used up, `send` returns 0 to everybody: an echo may be dropped.
    { during: false, expect: { opens: 8, closes: { 1013: 8 } }, most: 32 * MiB, tolerance: 8 * MiB },
  );
});
