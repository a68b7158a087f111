'use strict';
throw Object.assign(new RangeError('broken module'), { code: 'E_BROKEN', cause: new Error('deeper') });
