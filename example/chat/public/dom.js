// The two helpers that a page without a framework needs.

/**
 * Makes an element: `el('button', { type: 'button', class: 'send' }, 'Send')`. Children are
 * elements or text; text becomes a text node and can never turn into markup.
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** One of the icons at the top of index.html. */
export function icon(name) {
  const namespace = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(namespace, 'svg');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(namespace, 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.append(use);
  return svg;
}

/**
 * Makes the children of `parent` show `items`, in order. Elements are kept per key and only
 * replaced when their item's `version` changed: so the focus stays in place, and a screen reader
 * reads only what is new.
 */
export function list(parent, items, { key, version, draw }) {
  const wanted = new Set(items.map((item) => `${key(item)}`));
  const present = new Map();
  for (const child of [...parent.children]) {
    if (wanted.has(child.dataset.key)) present.set(child.dataset.key, child);
    else child.remove();
  }
  let cursor = parent.firstElementChild;
  for (const item of items) {
    const itemVersion = `${version(item)}`;
    let child = present.get(`${key(item)}`);
    if (child?.dataset.version !== itemVersion) {
      const fresh = draw(item);
      fresh.dataset.key = key(item);
      fresh.dataset.version = itemVersion;
      if (child) {
        const hadFocus = child.contains(document.activeElement);
        child.replaceWith(fresh);
        if (hadFocus) fresh.querySelector('button, a')?.focus();
        if (child === cursor) cursor = fresh;
      }
      child = fresh;
    }
    if (child === cursor) cursor = cursor.nextElementSibling;
    else parent.insertBefore(child, cursor);
  }
}
