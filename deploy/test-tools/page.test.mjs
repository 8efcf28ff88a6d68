// The status page in a browser, with no rows, those of the demo, and many with hostile names: nothing is too wide, too faint or
// nameless, and the browser asks nobody else for anything. With KEEP_PICTURES=1 the pictures stay, to be looked at.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { inspect, launch, watched } from './browser.mjs';
import { Daemon } from './daemon.mjs';

const rows = fileURLToPath(new URL('../../api/console/testdata/rows.sql', import.meta.url));

let browser;
let pictures;

before(
  async () => {
    browser = await launch();
    pictures = await mkdtemp(join(tmpdir(), 'trunkline-pictures-'));
    if (process.env.KEEP_PICTURES) console.log(`pictures of the pages are in ${pictures}`);
  },
  { timeout: 150_000 },
);

after(
  async () => {
    await browser?.close();
    if (pictures && !process.env.KEEP_PICTURES) await rm(pictures, { recursive: true, force: true });
  },
  { timeout: 60_000 },
);

// psql runs SQL on a daemon's private database.
function psql(daemon, ...args) {
  const debian = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql').map((v) => `/usr/lib/postgresql/${v}/bin`) : [];
  const PATH = [process.env.TRUNKLINE_PG_BIN, process.env.PATH, ...debian].filter(Boolean).join(':');
  const done = spawnSync('psql', ['-X', '-q', '-1', '-v', 'ON_ERROR_STOP=1', '-h', join(daemon.directory, 'postgres-run'), '-U', 'trunkline', 'trunkline', ...args], {
    env: { ...process.env, PATH, PGOPTIONS: '-c trunkline.rows=400' },
    encoding: 'utf8',
    timeout: 120_000,
  });
  assert.equal(done.status, 0, `psql: ${done.error ?? done.stderr}`);
}

// signedIn makes a browser one that may see the page.
const signedIn = (daemon) => ({ extraHTTPHeaders: { authorization: `Bearer ${daemon.adminToken}` } });

// tour inspects a page, and of each kind of link on it the first.
async function tour(daemon, paths, prefix) {
  const origin = daemon.url;
  const { page, faults } = await watched(browser, origin, signedIn(daemon));
  try {
    for (const [name, find] of Object.entries(paths)) {
      const path = typeof find === 'string' ? find : await find(page);
      assert.ok(path, `no link to a ${name}`);
      const answer = await page.goto(origin + path);
      assert.equal(answer.status(), 200, `${name}: ${path}`);
      await inspect(page, `${prefix}-${name}`, pictures);
      assert.deepEqual(faults, [], `${name} (${path}) of ${prefix}`);
    }
  } finally {
    await page.context().close();
  }
}

// first finds the first link on the page whose address begins with something.
const first = (start) => (page) => page.evaluate((s) => document.querySelector(`main a[href^="${s}"]`)?.getAttribute('href'), start);

test('no rows, then many', { timeout: 400_000 }, async () => {
  const daemon = await Daemon.start('serve', '--roles', 'api');
  try {
    await tour(daemon, { overview: '/', deliveries: '/ui/deliveries', login: '/ui/login' }, 'none');
    psql(daemon, '-f', rows);
    await tour(
      daemon,
      {
        overview: '/',
        stream: first('/ui/streams/'),
        deliveries: '/ui/deliveries?state=unknown',
        delivery: first('/ui/deliveries/'),
        posts: '/ui/inbox?state=bad',
        post: first('/ui/inbox/'),
        quarantine: '/ui/quarantine',
        item: first('/ui/quarantine/'),
        backfills: '/ui/backfills',
        backfill: first('/ui/backfills/'),
        webhooks: '/ui/webhooks',
        jobs: '/ui/jobs',
        speed: '/ui/speed',
      },
      'many',
    );
  } finally {
    assert.equal(await daemon.stop(), 0, 'a gentle stop');
  }
});

test('the demo', { timeout: 300_000 }, async () => {
  const daemon = await Daemon.start('demo');
  try {
    await daemon.synced();
    const deliveryIn = (state) => async (page) => (await page.goto(`${daemon.url}/ui/deliveries?state=${state}`), first('/ui/deliveries/')(page));
    await tour(daemon, { overview: '/', delivery: deliveryIn('confirmed'), refused: deliveryIn('rejected') }, 'few');

    const { page, faults } = await watched(browser, daemon.url, signedIn(daemon));
    await page.goto(`${daemon.url}/`);
    await page.getByRole('heading', { name: 'Well', exact: true }).waitFor();
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to the content');
    await page.keyboard.press('Enter');
    const read = await page.locator('footer time').getAttribute('datetime');
    await page.waitForFunction((was) => document.querySelector('footer time').dateTime !== was, read);
    await page.getByRole('button', { name: 'Refreshes by itself' }).click();
    await page.getByRole('button', { name: 'Does not refresh' }).waitFor();
    assert.deepEqual(faults, []);

    await page.goto(`${daemon.url}/`);
    await page.route('**/*', (route) => route.abort());
    await page.getByText(/^Not refreshed since .* UTC$/).waitFor();
    assert.ok(await page.evaluate(() => document.querySelector('.verdict').classList.contains('old')), 'the verdict looks as if it still held');
    await page.context().close();

    const plain = await watched(browser, daemon.url, { ...signedIn(daemon), javaScriptEnabled: false });
    await plain.page.goto(`${daemon.url}/`);
    await plain.page.getByRole('link', { name: 'Deliveries', exact: true }).click();
    await plain.page.getByRole('heading', { name: 'Deliveries' }).waitFor();
    assert.deepEqual(plain.faults, [], 'without script');
    await plain.page.context().close();
  } finally {
    assert.equal(await daemon.stop(), 0, 'a gentle stop');
  }
});
