import { record } from './record.cjs';

export const handleStart = () => record('start');
export const handleTextMessage = () => undefined;
