// What outlives the page: the name, the rooms, the colours. With storage switched off nothing
// does.

const KEY = 'chat';

export const stored = (() => {
  try {
    const { name, rooms, theme } = JSON.parse(localStorage.getItem(KEY)) ?? {};
    return { name, rooms, theme };
  } catch {
    return {};
  }
})();

export function store(changes) {
  Object.assign(stored, changes);
  try {
    localStorage.setItem(KEY, JSON.stringify(stored));
  } catch {
    // Then it lives as long as the page.
  }
}
