require('./client.cjs').live(require('../../../lib/server-helper.cjs'), require.cache);
