// A headless Chromium that may talk to one address of this machine only, and what is asked of every page in it.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import axe from 'axe-core';
import { chromium } from 'playwright-core';

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'];

// Without the flags it would ask its makers' servers for updates and the like.
const flags = ['--disable-background-networking', '--disable-component-update', '--disable-gpu', '--disable-quic', '--disable-sync', '--no-first-run',
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'];

export const findChromium = () => [process.env.CHROMIUM, ...places].find((path) => path && existsSync(path));

export function launch() {
  const root = process.getuid?.() === 0; // Chromium's sandbox refuses to run as root
  return chromium.launch({ executablePath: findChromium(), args: root ? [...flags, '--no-sandbox'] : flags, timeout: 60_000 });
}

// works tells whether there is a browser that says its version and shows a page.
async function works() {
  const path = findChromium();
  if (!path || spawnSync(path, ['--version'], { timeout: 15_000 }).status !== 0) return false;
  const browser = await launch();
  try {
    const page = await browser.newPage();
    await page.goto('about:blank', { timeout: 20_000 });
    return true;
  } finally {
    await browser.close();
  }
}

// As a program of its own it ends well where there is one.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  works().then(
    (well) => process.exit(well ? 0 : 1),
    () => process.exit(1),
  );
}

// watched opens a page, and keeps what it asks of other hosts and what it complains of.
export async function watched(browser, origin, options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  const faults = [];
  page.on('request', (request) => request.url().startsWith(`${origin}/`) || faults.push(`asks for ${request.url()}`));
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && faults.push(`says ${message.text()}`));
  page.on('pageerror', (error) => faults.push(`fails: ${error.message}`));
  return { page, faults };
}

// looks are the ways in which a page is looked at.
export const looks = [1280, 390].flatMap((width) => ['light', 'dark'].map((colorScheme) => ({ width, colorScheme })));

// inspect holds a page that is open against what all pages have to be, in every look, and keeps a picture of each.
export async function inspect(page, name, directory) {
  for (const { width, colorScheme } of looks) {
    const where = `${name} at ${width}, ${colorScheme}`;
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: `${directory}/${name}-${width}-${colorScheme}.png`, fullPage: true });
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(over <= 0, `${where} is ${over} pixels too wide`);
    assert.deepEqual(await audit(page), [], where);
  }
  assert.deepEqual(await nameless(page), [], `${name}: controls without a name`);
}

// audit runs axe's rules, those of contrast among them (4.5 to 1 for text of this size).
async function audit(page) {
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  return violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target} ${n.any[0]?.message ?? v.help}`));
}

const controls = new Set(['link', 'button', 'textbox', 'checkbox', 'progressbar', 'image', 'img', 'graphics-document', 'table', 'navigation', 'region']);

// nameless are the nodes of the accessibility tree that a person would have to guess.
async function nameless(page) {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  await session.detach();
  const found = nodes.filter((n) => !n.ignored && controls.has(n.role?.value));
  assert.ok(found.length > 0, 'the accessibility tree has next to nothing');
  return found.filter((n) => !n.name?.value?.trim()).map((n) => `${n.role.value} ${n.nodeId}`);
}
