// How well the texts of a page can be read.

import assert from 'node:assert/strict';

/** What WCAG 2.2 asks of texts that are not large. */
const LEAST = 4.5;

/**
 * Runs in the page. Returns each visible text with its contrast to what is behind it, if that is
 * low.
 */
function lowContrasts(least) {
  const context = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d', { willReadFrequently: true });
  /** Any colour of CSS as [red, green, blue, alpha]. */
  const channels = (color) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a)];
  const luminance = (color) => {
    const [r, g, b] = color.map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ancestors = (element) => (element ? [element, ...ancestors(element.parentElement)] : []);
  /** What is behind the texts of an element. Backgrounds are plain colours in these pages. */
  const behind = (element) => ancestors(element).reverse().reduce((color, each) => over(channels(getComputedStyle(each).backgroundColor), color), [255, 255, 255]);
  const contrast = (element, color) => {
    const opacity = ancestors(element).reduce((product, each) => product * Number(getComputedStyle(each).opacity), 1);
    const ground = behind(element);
    const [r, g, b, a] = channels(color);
    const [dark, light] = [luminance(over([r, g, b, a * opacity], ground)), luminance(ground)].sort((x, y) => x - y);
    return (light + 0.05) / (dark + 0.05);
  };
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (walker.currentNode.data.trim() === '' || element.closest('script, style, template, noscript, :disabled, .visually-hidden, .skip')) continue;
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    texts.push([walker.currentNode.data.trim(), element, getComputedStyle(element).color]);
  }
  for (const element of document.querySelectorAll('input[placeholder], textarea[placeholder]')) {
    if (element.checkVisibility({ visibilityProperty: true })) texts.push([element.placeholder, element, getComputedStyle(element, '::placeholder').color]);
  }
  for (const element of document.querySelectorAll('[data-by]')) texts.push([element.dataset.by, element, getComputedStyle(element, '::before').color]);
  const low = texts.map(([text, element, color]) => [text, contrast(element, color)]).filter(([, value]) => value < least);
  return { count: texts.length, low: low.map(([text, value]) => `${text}: ${value.toFixed(2)}`) };
}

/** Fails if a text of the page stands out too little from what is behind it, by day or by night. */
export async function assertReadable(page) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    const { count, low } = await page.evaluate(lowContrasts, LEAST);
    assert.ok(count > 0, 'there is text');
    assert.deepEqual(low, [], `contrast at least ${LEAST}, ${colorScheme}`);
  }
  await page.emulateMedia({ colorScheme: null });
}

/**
 * Fails unless each log is an element around a list, so that its items are a list to a screen
 * reader.
 */
export async function assertLogsAreAroundLists(page) {
  const logs = await page.locator('[role="log"]').evaluateAll((all) => all.map((log) => `${log.localName} > ${[...log.children].map((child) => `${child.localName}${child.role ? `[role=${child.role}]` : ''}`).join(' + ')}`));
  assert.notEqual(logs.length, 0);
  for (const log of logs) assert.equal(log, 'div > ol');
}
