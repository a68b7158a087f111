require('../../../lib/index.cjs');
