// A page in Chromium, by its own EventSource. The first command has the page's URL, and perhaps a cookie.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { chromium } from 'playwright-core';

import { commands, print } from './commands.mjs';
import { watch } from './watch.mjs';

const profile = await mkdtemp(join(tmpdir(), 'ssefleet-chromium-'));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: '/usr/bin/chromium',
  headless: true,
  ignoreHTTPSErrors: true, // a test's certificate is signed by the test
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
try {
  const [page] = context.pages();
  await page.exposeFunction('tell', print);
  for await (const { page: address, cookie, show, ...options } of commands()) {
    if (cookie) await context.addCookies([cookie]);
    if (address) await page.goto(address);
    if (show) await follow(page, show);
    else await page.evaluate(watch, options);
  }
} finally {
  await context.close();
  await rm(profile, { recursive: true, force: true });
}

// Tells the text of an element, now and whenever it changes.
async function follow(page, selector) {
  await page.evaluate((selector) => {
    const element = document.querySelector(selector);
    const say = () => tell({ is: 'text', text: element.textContent });
    new MutationObserver(say).observe(element, { childList: true, characterData: true, subtree: true });
    say();
  }, selector);
}
