// Takes its time, and registers itself when its `start` has long given it up.
import { record } from './record.cjs';
import wsbroker from '../../../lib/index.cjs';

await new Promise((resolve) => setTimeout(resolve, 100));
try {
  wsbroker.registerWorkerThread({ handleStart: () => record('start') });
} catch (error) {
  record(error.code);
}
record('ended');
