import { start } from '../../../lib/index.mjs';

try {
  await start({ bind: '127.0.0.1:0', workerPath: process.argv[2], threads: Number(process.argv[3]) });
} catch (error) {
  console.log(error.code, error.cause?.name, error.cause?.message);
}
