// How numbers are written for people.

const NONE = '-';

/** `1234567` as `1,234,567`; small ones with a digit behind the point. */
export function formatCount(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return NONE;
  const digits = value !== 0 && Math.abs(value) < 100 && !Number.isInteger(value) ? 1 : 0;
  const [whole = '', fraction] = value.toFixed(digits).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** `1536` as `1.5 KiB`. */
export function formatBytes(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return NONE;
  let [left, unit] = [value, 0];
  while (left >= 1024 && unit < UNITS.length - 1) [left, unit] = [left / 1024, unit + 1];
  return `${unit > 0 && left < 100 ? left.toFixed(1) : left.toFixed(0)} ${UNITS[unit]}`;
}

/** Seconds as `250 us`, `12 ms` or `1.5 s`. */
export function formatSeconds(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return NONE;
  if (value < 0.001) return `${(value * 1e6).toFixed(0)} us`;
  if (value < 1) return `${(value * 1e3).toFixed(value < 0.1 ? 1 : 0)} ms`;
  return `${value.toFixed(1)} s`;
}

/** Seconds as `45 s`, `12 min`, `5 h 20 min` or `3 d 4 h`. */
export function formatAge(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return NONE;
  const [minutes, hours, days] = [Math.floor(value / 60), Math.floor(value / 3600), Math.floor(value / 86_400)];
  if (minutes === 0) return `${Math.floor(value)} s`;
  if (hours === 0) return `${minutes} min`;
  if (days === 0) return `${hours} h ${minutes % 60} min`;
  return `${days} d ${hours % 24} h`;
}

/** A part of a whole as `12 %`. */
export function formatPart(value: number | undefined): string {
  return value === undefined || !Number.isFinite(value) ? NONE : `${(value * 100).toFixed(0)} %`;
}
