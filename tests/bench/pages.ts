import { mkdtemp, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { openPlace } from '../../dev/place.ts';
import { startPortal } from '../../dev/portal.ts';
import { standIns } from '../../dev/stand-ins.ts';
import { startBrowser } from '../peers/browser.ts';
import { reservePort } from '../peers/lib/ports.ts';
import { type Bench, median, round } from './lib/measure.ts';

/**
 * First contentful paint of each page of the portal and its bytes on the wire, headers included: the
 * provisioner as its own process, the system's Chromium, both on this machine. Cold is a browser that
 * was never here, warm one that has the stylesheet.
 */
export const bench: Bench = async (report, note, quick) => {
  const folder = await mkdtemp(join(tmpdir(), 'hackspace-pages-'));
  const load = round(loadavg()[0]!);
  const env: Record<string, string> = { HACKSPACE_DEV: folder };
  for (const name of ['PROVISIONER', 'KEYCLOAK']) {
    env[`PORT_${name}`] = String((await reservePort()).port);
  }
  const place = openPlace(env, { fresh: true });
  const around = await standIns(place);
  const portal = await startPortal(place, {
    around,
    calendars: { url: 'http://127.0.0.1:1' },
    unsealer: undefined,
    log: () => {},
  });
  try {
    await using running = await startBrowser();
    const origin = portal.url;
    const member = await running.browser.newContext();
    const cookies = await claim(await member.newPage(), origin).then(() => member.storageState());
    await member.close();
    const check = new URLSearchParams({
      name: 'other',
      plan: 'small',
      url: 'https://codeberg.org/hackspace/other',
    });
    const paths = {
      landing: '/',
      'my spaces': '/spaces',
      form: '/spaces/new',
      check: `/spaces/new/check?${check}`,
      status: '/spaces/garden/status',
      space: '/spaces/garden',
      history: '/spaces/garden/history',
      delete: '/spaces/garden/delete',
      admin: '/admin',
      error: '/spaces/nothing',
    };
    const runs = quick ? 1 : 7;
    for (const [name, path] of Object.entries(paths)) {
      const cold: number[] = [];
      const warm: number[] = [];
      let bytes = 0;
      for (let i = 0; i < runs; i++) {
        const context = await running.browser.newContext({ storageState: cookies });
        const page = await context.newPage();
        const wire = await context.newCDPSession(page);
        await wire.send('Network.enable');
        let sum = 0;
        wire.on('Network.loadingFinished', (event) => sum += event.encodedDataLength);
        cold.push(await paint(page, origin + path));
        bytes = sum;
        warm.push(await paint(page, origin + path));
        await context.close();
      }
      const ours = (what: string, values: number[]) =>
        report({
          bench: 'pages',
          case: `${name}: first contentful paint, ${what}`,
          us: round(median(values)),
          unit: 'ms',
          peer: null,
          them: null,
          ratio: null,
        });
      ours('cold', cold);
      ours('warm', warm);
      report({
        bench: 'pages',
        case: `${name}: bytes of a first visit`,
        us: round(bytes / 1000),
        unit: 'kB',
        peer: 'the goal',
        them: 40,
        ratio: round(40 / (bytes / 1000)),
      });
    }
    note(`load of the machine at the start: ${load}; medians of ${runs}`);
    note('nothing is compressed by the service; an ingress in front may');
  } finally {
    await portal.stop();
    await around.stop();
    await rm(folder, { recursive: true, force: true });
  }
};

/** An administrator who pays, with one space. */
async function claim(page: Page, origin: string): Promise<void> {
  await page.goto(`${origin}/login?to=/spaces/new`);
  await page.getByRole('button', { name: 'admin,' }).click();
  await page.getByLabel('Name').fill('garden');
  await page.getByLabel('Repository').fill('https://codeberg.org/hackspace/garden');
  await page.getByRole('button', { name: 'Check your answers' }).click();
  await page.getByRole('button', { name: 'Agree and write it' }).click();
  await page.waitForURL(/status$/);
}

/** Opens the page; milliseconds from the navigation to the first contentful paint. */
async function paint(page: Page, url: string): Promise<number> {
  await page.goto(url, { waitUntil: 'load' });
  return await page.evaluate(() =>
    new Promise<number>((resolve, reject) => {
      setTimeout(() => reject(new Error('nothing was painted')), 10_000);
      new PerformanceObserver((list) => {
        for (const entry of list.getEntriesByName('first-contentful-paint')) {
          resolve(entry.startTime);
        }
      }).observe({ type: 'paint', buffered: true });
    })
  );
}
