// `npm run screenshots`: starts the dev world in a folder of its own, walks through it as a member in the
// system's Chromium, and keeps what it saw in docs/screenshots.
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Page } from 'playwright-core';
import { startBrowser } from '../tests/peers/browser.ts';

const OUT = 'docs/screenshots';
const NAMES = ['FRONT', 'ICS_PROXY', 'PROVISIONER', 'UNSEALER', 'KEYCLOAK', 'VAULT'];

async function freePort(): Promise<string> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return String(port);
}

const folder = await mkdtemp(join(tmpdir(), 'hackspace-shots-'));
const ports: Record<string, string> = {};
for (const name of NAMES) ports[`PORT_${name}`] = await freePort();
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
  await mkdir(OUT, { recursive: true });
  await using running = await startBrowser();
  const views = [
    { name: '', options: { viewport: { width: 1000, height: 700 }, colorScheme: 'light' } },
    { name: '-phone', options: { viewport: { width: 360, height: 640 }, colorScheme: 'dark' } },
  ] as const;
  for (const { name: suffix, options } of views) {
    const context = await running.browser.newContext(options);
    const page = await context.newPage();
    const shoot = async (name: string) => {
      await page.screenshot({ path: `${OUT}/${name}${suffix}.png`, fullPage: true });
      process.stdout.write(`${OUT}/${name}${suffix}.png\n`);
    };
    await page.goto(at('FRONT'));
    await shoot('front');
    const feed = (await readFile(join(folder, 'secrets', 'feed-full'), 'utf8')).trim();
    await page.goto(feed.replace('.ics?', '?'));
    await shoot('agenda');
    await portal(page, shoot, suffix === '');
    await page.goto(at('UNSEALER'));
    await shoot('unsealer');
    await context.close();
  }
} finally {
  world.removeAllListeners('exit');
  world.kill('SIGTERM');
  await new Promise((done) => world.exitCode === null ? world.on('exit', done) : done(0));
  await rm(folder, { recursive: true, force: true });
}

/** A member's way through the portal; the second time, the space is there already. */
async function portal(page: Page, shoot: (name: string) => Promise<void>, first: boolean) {
  const origin = at('PROVISIONER');
  await page.goto(origin);
  await shoot('portal-landing');
  await page.goto(`${origin}/login?to=/spaces/new`);
  await page.getByRole('button', { name: 'admin,' }).click();
  await page.waitForURL(`${origin}/spaces/new`);
  if (first) {
    await page.getByLabel('Name').fill('Garden!');
    await page.getByRole('button', { name: 'Check your answers' }).click();
    await shoot('portal-form');
    await page.getByLabel('Name').fill('garden');
    await page.getByLabel('Repository').fill('https://codeberg.org/hackspace/garden');
    await page.getByLabel('I want a calendar feed').check();
    await page.getByRole('button', { name: 'Check your answers' }).click();
    await page.locator('summary').first().click();
    await shoot('portal-check');
    await page.getByRole('button', { name: 'Agree and write it' }).click();
    await page.waitForURL(/status$/);
  } else {
    await shoot('portal-form');
    await page.goto(`${origin}/spaces/garden/status`);
  }
  await shoot('portal-status');
  await page.goto(`${origin}/spaces/garden`);
  await page.getByRole('button', { name: 'Make a new address' }).click();
  await shoot('portal-space');
  await page.goto(`${origin}/spaces/garden/delete`);
  await shoot('portal-delete');
  await page.goto(`${origin}/admin`);
  await shoot('portal-admin');
}
