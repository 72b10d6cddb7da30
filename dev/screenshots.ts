// `npm run screenshots`: walks through the dev world, and through a portal whose cluster and clock this
// script sets, in the system's Chromium, and keeps what it saw in docs/screenshots.
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { serve } from '@hackspace/kit/serve.ts';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import type { ClusterStep } from '../services/provisioner/cluster/flux-status.ts';
import { APPLIED, openWorld, type World } from '../services/provisioner/pages/world.ts';
import { startBrowser } from '../tests/peers/browser.ts';
import { reservePort } from '../tests/peers/lib/ports.ts';

const OUT = 'docs/screenshots';
const DESK: BrowserContextOptions = {
  viewport: { width: 1080, height: 720 },
  colorScheme: 'light',
  timezoneId: 'Europe/Berlin',
};
const PHONE: BrowserContextOptions = {
  viewport: { width: 360, height: 640 },
  colorScheme: 'dark',
  timezoneId: 'Europe/Berlin',
};

const QUOTA = [
  { name: 'limits.memory', used: '1740Mi', hard: '2Gi', percent: 85 },
  { name: 'limits.cpu', used: '900m', hard: '2', percent: 45 },
  { name: 'pods', used: '4', hard: '10', percent: 40 },
  { name: 'requests.storage', used: '1Gi', hard: '10Gi', percent: 10 },
];

async function keep(page: Page, name: string) {
  await page.screenshot({ path: `${OUT}/${name}.png`, fullPage: true });
  process.stdout.write(`${OUT}/${name}.png\n`);
}

await mkdir(OUT, { recursive: true });
await using running = await startBrowser();
const only = process.argv[2];
if (only !== 'portal') await devWorld(running.browser);
if (only !== 'world') await portal(running.browser);

/** The front page, the agenda and the unsealer as `npm start` has them. */
async function devWorld(browser: Browser) {
  const folder = await mkdtemp(join(tmpdir(), 'hackspace-shots-'));
  const ports: Record<string, string> = {};
  for (const name of ['FRONT', 'ICS_PROXY', 'PROVISIONER', 'UNSEALER', 'KEYCLOAK']) {
    ports[`PORT_${name}`] = String((await reservePort()).port);
  }
  const at = (name: string) => `http://127.0.0.1:${ports[`PORT_${name}`]}`;
  const world = spawn(process.execPath, ['dev/start.ts'], {
    env: { ...process.env, ...ports, HACKSPACE_DEV: folder },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await new Promise<void>((ready, failed) => {
      createInterface({ input: world.stdout }).on('line', (line) => {
        if (line.includes('Stop with Ctrl-C')) ready();
      });
      world.on('exit', () => failed(new Error('Cannot take screenshots: the dev world ended')));
    });
    for (const [suffix, options] of [['', DESK], ['-phone', PHONE]] as const) {
      const context = await browser.newContext(options);
      const page = await context.newPage();
      await page.goto(at('FRONT'));
      await keep(page, `front${suffix}`);
      const feed = (await readFile(join(folder, 'secrets', 'feed-full'), 'utf8')).trim();
      await page.goto(feed.replace('.ics?', '?'));
      await keep(page, `agenda${suffix}`);
      // Without openssl there is no vault, and no unsealer.
      if (await page.goto(at('UNSEALER')).then(() => true, () => false)) {
        await keep(page, `unsealer${suffix}`);
      }
      await context.close();
    }
  } finally {
    world.removeAllListeners('exit');
    world.kill('SIGTERM');
    await new Promise((done) => world.exitCode === null ? world.on('exit', done) : done(0));
    await rm(folder, { recursive: true, force: true });
  }
}

/** A member's whole way through the portal, and what its pages say when things go wrong. */
async function portal(browser: Browser) {
  const { port } = await reservePort();
  const origin = `http://127.0.0.1:${port}`;
  await using world = await openWorld(origin);
  const served = await serve(world.app, { host: '127.0.0.1', port });
  try {
    await walk(browser, world, origin);
  } finally {
    await served.close(0);
  }
}

async function walk(browser: Browser, world: World, origin: string) {
  const visitors = async (username?: string) => {
    const pages = [];
    for (const options of [DESK, PHONE]) {
      const page = await (await browser.newContext(options)).newPage();
      if (username) {
        await page.goto(`${origin}/login?to=/spaces`);
        await page.getByRole('button', { name: `${username},` }).click();
        await page.waitForURL(`${origin}/spaces`);
      }
      pages.push(page);
    }
    return pages as [Page, Page];
  };
  /** The same address on the desk and on the phone; `prepare` brings each to what is to be seen. */
  const both = async (
    pages: [Page, Page],
    name: string,
    path: string,
    prepare = (_: Page) => Promise.resolve(),
  ) => {
    for (const [i, page] of pages.entries()) {
      await page.goto(origin + path);
      await prepare(page);
      await keep(page, `portal-${name}${i ? '-phone' : ''}`);
    }
  };
  const fill = async (page: Page, name: string, url: string) => {
    await page.getByLabel('Name').fill(name);
    await page.getByLabel('Repository').fill(url);
    await page.getByRole('button', { name: 'Check your answers' }).click();
    await page.waitForLoadState();
  };

  await both(await visitors(), 'landing', '/');
  const member = await visitors('paying');
  const [desk] = member;
  await both(member, 'home-empty', '/spaces');
  await both(member, 'form', '/spaces/new');
  await both(
    member,
    'form-faults',
    '/spaces/new',
    (page) => fill(page, 'Garden!', 'http://10.0.0.1/'),
  );
  const repository = 'https://codeberg.org/hackspace/garden';
  await both(member, 'check', '/spaces/new', async (page) => {
    await page.getByLabel('I want a calendar feed').check();
    await fill(page, 'garden', repository);
    await page.getByText('The exact change, for the curious').click();
    await page.getByText('tenants/garden/gitrepository.yaml').click();
  });
  world.cluster.status = { steps: steps('pending'), quota: [], drift: [] };
  await desk.goto(`${origin}/spaces/new`);
  await desk.getByLabel('I want a calendar feed').check();
  await fill(desk, 'garden', repository);
  await desk.getByRole('button', { name: 'Agree and write it' }).click();
  await desk.waitForURL(/status$/);
  await both(member, 'status', '/spaces/garden/status');
  world.cluster.status = { ...APPLIED, quota: QUOTA, steps: steps('failed') };
  await both(member, 'status-red', '/spaces/garden/status');
  world.cluster.status = { ...APPLIED, quota: QUOTA, steps: steps('done') };
  await both(member, 'home', '/spaces');
  await both(member, 'space', '/spaces/garden', async (page) => {
    await page.getByRole('button', { name: 'Make a new address' }).click();
    await page.getByRole('img', { name: 'QR code' }).waitFor();
  });
  await desk.goto(`${origin}/spaces/garden/edit`);
  await desk.getByLabel('Folder').fill('./apps');
  await desk.getByRole('button', { name: 'Check your answers' }).click();
  await desk.getByRole('button', { name: 'Agree and write it' }).click();
  await desk.waitForURL(/status$/);
  await both(member, 'edit', '/spaces/garden/edit');
  await both(member, 'delete', '/spaces/garden/delete');
  await both(member, 'error', '/spaces/somebody-elses');
  world.keycloak.fail(503);
  await both(member, 'unknown', '/spaces');
  world.keycloak.fail(undefined);

  // From here on the member does not pay, and a month goes by.
  const admin = await visitors('admin');
  const [adminDesk] = admin;
  await adminDesk.goto(`${origin}/spaces/new`);
  await fill(adminDesk, 'library', 'https://codeberg.org/hackspace/library');
  await adminDesk.getByRole('button', { name: 'Agree and write it' }).click();
  await adminDesk.waitForURL(/status$/);
  world.keycloak.change('paying', { groups: [] });
  await both(await visitors('lapsed'), 'lapsed', '/spaces');
  const hour = 3_600_000;
  for (const n of [0, 1, 2]) await world.sweepAt(n * hour);
  await both(member, 'grace', '/spaces/garden');
  const month = 30 * 24 * hour;
  for (const n of [3, 4]) await world.sweepAt(month + n * hour);
  world.ahead(month + 5 * hour);
  await both(admin, 'admin', '/admin');
  await world.sweepAt(month + 5 * hour);
  await both(member, 'suspended', '/spaces/garden');
  await both(member, 'history', '/spaces/garden/history');
}

/** What Flux says of a repository: on its way, refused, or running. */
function steps(state: 'pending' | 'failed' | 'done'): ClusterStep[] {
  const at = new Date().toISOString();
  const revision = 'main@sha1:5f1c0de4b1a2';
  const fetched: ClusterStep = {
    key: 'fetched',
    state: 'done',
    at,
    text: `Your repository was read: ${revision}`,
  };
  switch (state) {
    case 'pending':
      return [
        fetched,
        { key: 'applied', state, text: 'Your files are being applied' },
        { key: 'healthy', state, text: 'Waits for the step before' },
      ];
    case 'failed':
      return [
        fetched,
        {
          key: 'applied',
          state,
          at,
          text: 'Your files ask for more than your plan has: Deployment/web: exceeded quota: ' +
            'tenant, requested: limits.memory=4Gi, used: limits.memory=1740Mi, limited: ' +
            'limits.memory=2Gi',
          help: 'Lower requests, limits or sizes, remove something, or ask for a larger plan.',
        },
        { key: 'healthy', state: 'unknown', text: 'Not looked at while nothing is applied' },
      ];
    case 'done':
      return [
        fetched,
        { key: 'applied', state, at, text: `Applied: ${revision}` },
        { key: 'healthy', state, at, text: 'Everything runs' },
      ];
  }
}
