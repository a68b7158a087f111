// The build of a Nitro application in each worker. BUILT is the folder that nitro.test.mjs has built nitro/ in.
import { pathToFileURL } from 'node:url';

import { crosswsWorker } from '../../../lib/crossws.mjs';

const { default: nitro } = await import(pathToFileURL(`${process.env.BUILT}/.output/server/index.mjs`).href);

export default crosswsWorker({ fetch: nitro.fetch });
