// The browser that these tests drive: a Chromium of this machine, nothing is downloaded.

import { existsSync } from 'node:fs';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const playwright = await import('playwright-core').catch(() => undefined);

/** Why there can be no browser tests here, with what would enable them; false if there can. */
export const skip = !playwright
  ? 'playwright-core is not installed; enable with: npm install'
  : !existsSync(executablePath)
    ? `no browser at ${executablePath}; enable with: apt-get install chromium, or CHROMIUM=/path/to/chromium node --test test/browser/`
    : false;
if (skip) console.log(`skipped: ${skip}`);

export const launch = () =>
  playwright.chromium.launch({
    executablePath,
    args: [
      '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update',
      '--disable-sync', '--disable-quic',
    ],
  });
