// Pages in Chromium, by its own EventSource. A command may have the URL of a page, perhaps with a cookie, and the tab that
// it is about, 0 if it has none. Tabs share nothing: each may have as many connections to a server as Chromium allows for
// one visitor, which is six by HTTP/1.1. Arguments are handed on to Chromium.

import { chromium } from 'playwright-core';

import { commands, print } from './commands.mjs';
import { watch } from './watch.mjs';

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', ...process.argv.slice(2)],
});
const tabs = new Map();
try {
  for await (const { tab = 0, page: address, cookie, show, answers, ...options } of commands()) {
    if (!tabs.has(tab)) tabs.set(tab, await open());
    const page = tabs.get(tab);
    if (cookie) await page.context().addCookies([cookie]);
    if (address) await page.goto(address);
    if (answers) page.on('response', tellAnswer).on('console', tellConsole);
    if (show) await follow(page, show);
    else await page.evaluate(watch, options);
  }
} finally {
  await browser.close();
}

async function open() {
  // A test's certificate is signed by the test.
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  await page.exposeFunction('tell', print);
  return page;
}

// What a page is not told itself: the status, and which node it is of, if it is of one.
function tellAnswer(response) {
  print({ is: 'answer', status: response.status(), node: response.headers()['x-sse-node'] });
}

// And why an answer is not what its script gets.
function tellConsole(message) {
  print({ is: 'text', text: message.text() });
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
