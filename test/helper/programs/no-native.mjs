import { createRequire } from 'node:module';

import * as helper from '../../../lib/server-helper.mjs';

const require = createRequire(import.meta.url);
await require('./client.cjs').live(helper, require.cache);
