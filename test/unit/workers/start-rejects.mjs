export const handleStart = async () => {
  throw new Error('not today');
};
