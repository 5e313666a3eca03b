// A Chromium, and the page in it, served from where it was built.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { chromium } from 'playwright-core';

export const DIST = process.env.PLAYGROUND;
const TYPES = { '.html': 'text/html', '.css': 'text/css', '.js': 'text/javascript', '.gz': 'application/gzip' };

const server = createServer(async (request, response) => {
  const path = normalize(new URL(request.url, 'http://x').pathname);
  try {
    const bytes = await readFile(join(DIST, path === '/' ? 'index.html' : path));
    response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? 'text/html' }).end(bytes);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
export const ADDRESS = `http://127.0.0.1:${server.address().port}/`;

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] });

export async function close() {
  await browser.close();
  server.close();
  server.closeAllConnections();
}

/** The page, ready. What it says on the console and asks of other hosts is kept beside it. */
export async function open({ fragment = '', width = 1360, height = 900, dark = false } = {}) {
  const context = await browser.newContext({
    viewport: { width, height }, colorScheme: dark ? 'dark' : 'light', acceptDownloads: true, bypassCSP: false,
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  const page = await context.newPage();
  page.said = [];
  page.on('console', (message) => { if (message.type() === 'error') page.said.push(message.text()); });
  page.on('pageerror', (error) => page.said.push(String(error)));
  page.on('request', (request) => {
    if (!request.url().startsWith(ADDRESS) && !/^(data|blob):/.test(request.url())) page.said.push(`asked for ${request.url()}`);
  });
  await page.goto(ADDRESS + fragment);
  const ready = page.waitForFunction(() => document.documentElement.dataset.ready, null, { timeout: 20_000 });
  await Promise.race([ready, page.waitForEvent('pageerror').then((error) => { throw error; })]);
  return page;
}

/** Pastes a text over what stands in a field. */
export async function paste(page, selector, text) {
  await page.evaluate((text) => navigator.clipboard.writeText(text), text);
  await page.focus(selector);
  await page.keyboard.press('Control+a');
  await page.keyboard.press('Control+v');
}
