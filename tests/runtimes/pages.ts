import { createHash } from 'node:crypto';
import { setupLogging } from '@hackspace/kit/log.ts';
import { createBrowser } from '../../services/provisioner/auth/browser.ts';
import { gallery } from '../../services/provisioner/pages/gallery.ts';
import { openWorld } from '../../services/provisioner/pages/world.ts';

// The portal on the runtime that runs this file: every page of the gallery rendered, and one member's
// way over HTTP from the landing page to a commit. The last line must be the same on all runtimes:
//   node tests/runtimes/pages.ts    deno run -A tests/runtimes/pages.ts    bun tests/runtimes/pages.ts
const ORIGIN = 'https://my.space.example';
const hash = createHash('sha256');
let count = 0;
let bytes = 0;

function keep(name: string, page: string) {
  // What differs from run to run: ids, moments, commits, ports, and the hash of what was shown.
  const blind = page.replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}/g, 'ID')
    .replaceAll(/<time datetime="[^"]*">[^<]*/g, '<time>')
    .replaceAll(/\b[0-9a-f]{12,40}\b/g, 'SHA').replaceAll(/>[0-9a-f]{8}</g, '>SHA<')
    .replaceAll(/127\.0\.0\.1:\d+/g, 'HOST')
    .replaceAll(/20\d\d-\d\d-\d\dT[\d:.]+Z/g, 'TIME');
  hash.update(`${name}\0${blind}\0`);
  count++;
  bytes += blind.length;
}
function must(truth: boolean, what: string) {
  if (!truth) throw new Error(what);
}

setupLogging({ service: 'pages', level: 'error' });
for (const [name, page] of Object.entries(gallery)) {
  const text = String(await page);
  // Here moments are the same everywhere, and must be written alike too.
  hash.update(text);
  keep(name, text);
}

const world = await openWorld(ORIGIN);
const browser = createBrowser({ local: { [ORIGIN]: (request) => world.app.fetch(request) } });
const landing = await browser.go(ORIGIN);
must(landing.text.includes('Log in and begin'), 'no landing page');
keep('/', landing.text);
const login = await browser.go(`${ORIGIN}/login?to=/spaces`);
const home = await browser.post(login.url, { username: 'paying' });
must(home.text.includes('Your membership is paid'), `no login: ${home.status} ${home.url}`);
keep('home', home.text);
const form = await browser.go(`${ORIGIN}/spaces/new`);
must(form.text.includes('name="url"'), 'no form');
keep('form', form.text);
const values = { name: 'garden', plan: 'small', ref: 'main', path: './', calendar: 'yes' };
const faults = await browser.post(`${ORIGIN}/spaces/new`, { ...values, url: 'http://10.0.0.1/' });
must(faults.status === 400, `a fault answered ${faults.status}`);
keep('faults', faults.text);
const answers = { ...values, url: 'https://codeberg.org/paying/garden' };
const preview = await browser.post(`${ORIGIN}/spaces/new`, answers);
must(preview.text.includes('+kind: Namespace'), 'no preview');
keep('preview', preview.text);
const agreed = /name="agreed"\s+value="([^"]*)"/.exec(preview.text)![1]!;
const status = await browser.post(`${ORIGIN}/spaces/new/check`, { ...answers, agreed });
must(status.url === `${ORIGIN}/spaces/garden/status`, `no commit: ${status.text}`);
keep('status', status.text);
for (const path of ['', '/history', '/edit', '/delete']) {
  const page = await browser.go(`${ORIGIN}/spaces/garden${path}`);
  must(page.status === 200, `${path} answered ${page.status}`);
  keep(path, page.text);
}
const feed = await browser.post(`${ORIGIN}/spaces/garden/calendar`, {});
must(feed.text.includes('<svg'), 'no QR code');
keep('feed', feed.text);
const nothing = await browser.go(`${ORIGIN}/spaces/nothing`);
must(nothing.status === 404 && nothing.text.includes('Nothing here'), 'no error page');
keep('error', nothing.text);
await world[Symbol.asyncDispose]();
process.stdout.write(
  `${count} pages, ${bytes} letters, sha256 ${hash.digest('hex').slice(0, 16)}\n`,
);
process.exit(0);
