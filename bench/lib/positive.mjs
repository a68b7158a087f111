/** The number that an option has, or else the other one. */
export function positive(values, name, fallback) {
  const value = Number(values[name] ?? fallback);
  if (!(value > 0)) {
    throw new Error(`--${name} must be a positive number, got ${values[name]}`);
  }
  return value;
}
