// The frame around the conversation: drawers on narrow screens, and the colours.

import { store, stored } from './storage.js';
import { $ } from './view.js';

const app = document.querySelector('.app');
const drawers = { side: $('open-side'), people: $('open-people') };

function toggleDrawer(which) {
  const isOpen = app.dataset.drawer === which;
  closeDrawers();
  if (isOpen) return;
  app.dataset.drawer = which;
  drawers[which].setAttribute('aria-expanded', 'true');
  (which === 'side' ? $('rooms').querySelector('a') : $('close-people')).focus();
}

/**
 * The focus goes back to the button that opened the drawer, so that it is not lost in something
 * hidden.
 */
export function closeDrawers() {
  const which = app.dataset.drawer;
  if (which === undefined) return;
  delete app.dataset.drawer;
  drawers[which].setAttribute('aria-expanded', 'false');
  drawers[which].focus();
}

for (const [which, button] of Object.entries(drawers)) button.addEventListener('click', () => toggleDrawer(which));
$('scrim').addEventListener('click', closeDrawers);
$('close-people').addEventListener('click', closeDrawers);
addEventListener('keydown', ({ key }) => {
  if (key === 'Escape') closeDrawers();
});

const themes = { auto: 'as the system', light: 'light', dark: 'dark' };
let theme = stored.theme in themes ? stored.theme : 'auto';

function showTheme() {
  document.documentElement.dataset.theme = theme;
  $('theme').setAttribute('aria-label', `Colours: ${themes[theme]}`);
  $('theme').title = `Colours: ${themes[theme]}`;
}

$('theme').addEventListener('click', () => {
  theme = { auto: 'light', light: 'dark', dark: 'auto' }[theme];
  store({ theme });
  showTheme();
});
showTheme();
