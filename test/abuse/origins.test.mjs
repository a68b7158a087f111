// Origins that are not on the list, and the tricks that make them look as if they were.
import assert from 'node:assert/strict';

import { request } from '../e2e/raw.mjs';
import { many, site } from './kit.mjs';

site('origins', { options: { origins: ['https://a.example', 'https://*.b.example', 'http://localhost:8080'] } }, (attack) => {
  const TIMES = 8;
  for (const origin of [
    'https://evil.example', 'http://a.example', 'https://a.example.evil', 'https://evila.example', 'https://a.example:444', 'https://a.example@evil.example', 'https://a.example/', 'https://b.example',
    'https://.b.example', 'https://xb.example', 'https://b.example.evil', 'https://x.b.example:81', 'null', '', '*', 'https://*.b.example', 'https://a.example https://evil.example',
    'a.example', 'https://evil.example/.b.example', 'https://evil.example?.b.example', 'https://evil.example#.b.example',
    'https://evil.example\\.b.example', 'https://x.b.example, https://evil.example',
  ]) {
    attack(
      `Origin: ${JSON.stringify(origin)} is answered with 403`,
      (place) => many(TIMES, 8, async () => assert.equal((await place.say(request('/', { Origin: origin }))).status, 403)),
      { expect: { opens: 0 }, counts: { rejected: { origin: TIMES } } },
    );
  }

  attack(
    'two of them are answered with 400, whichever comes first',
    (place) =>
      many(TIMES, 8, async (n) => {
        const both = ['https://a.example', 'https://evil.example'];
        assert.equal((await place.say(request('/', { Origin: n % 2 ? both : both.reverse() }))).status, 400);
      }),
    { expect: { opens: 0 } },
  );

  const GOOD = [undefined, 'https://a.example', 'HTTPS://A.EXAMPLE', 'https://x.b.example', 'https://x.y.b.example', 'http://localhost:8080'];
  attack(
    'good ones are let in',
    (place) => many(GOOD.length, 8, async (n) => assert.equal((await place.say(request('/', { Origin: GOOD[n] }))).status, 101, GOOD[n])),
    { expect: { opens: GOOD.length } },
  );
});
