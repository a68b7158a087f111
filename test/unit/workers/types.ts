import { record } from './record.cjs';

const start: () => void = () => record('start');
export default { handleStart: start };
