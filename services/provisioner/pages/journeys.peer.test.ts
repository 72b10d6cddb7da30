import { createServer } from 'node:net';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { serve, type Served } from '@hackspace/kit/serve.ts';
import { PEOPLE } from '../../../dev/keycloak-facade.ts';
import { type RunningBrowser, startBrowser } from '../../../tests/peers/browser.ts';
import { needs } from '../../../tests/peers/lib/needs.ts';
import { APPLIED, openWorld, type World } from './world.ts';

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}

needs('chromium')('the portal in a real browser, with the facade of Keycloak', () => {
  let running: RunningBrowser;
  let chromium: Browser;
  let world: World;
  let served: Served;
  let origin: string;
  const open: BrowserContext[] = [];

  beforeAll(async () => {
    running = await startBrowser();
    chromium = running.browser;
    const port = await freePort();
    origin = `http://127.0.0.1:${port}`;
    world = await openWorld(origin);
    served = await serve(world.app, { host: '127.0.0.1', port });
  });
  afterAll(async () => {
    await running?.stop();
    await served?.close(0);
    await world?.[Symbol.asyncDispose]();
  });
  afterEach(async () => {
    for (const context of open.splice(0)) await context.close();
    for (const person of PEOPLE) world.keycloak.change(person.username, person);
    world.cluster.status = APPLIED;
  });

  async function visitor(options: Parameters<Browser['newContext']>[0] = {}): Promise<Page> {
    const context = await chromium.newContext(options);
    context.setDefaultTimeout(15_000);
    open.push(context);
    return await context.newPage();
  }

  async function logIn(page: Page, username: string, to = '/spaces') {
    await page.goto(`${origin}/login?to=${to}`);
    await page.getByRole('button', { name: `${username},` }).click();
    await page.waitForURL(`${origin}${to}`);
  }

  async function fill(page: Page, name: string) {
    await page.getByLabel('Name').fill(name);
    await page.getByLabel('Repository').fill(`https://codeberg.org/paying/${name}`);
    await page.getByRole('button', { name: 'Check your answers' }).click();
  }

  for (const javaScriptEnabled of [true, false]) {
    const title = javaScriptEnabled ? 'with JavaScript' : 'without JavaScript';
    test(`a paying member goes from the landing page to a running space, ${title}`, async () => {
      const name = javaScriptEnabled ? 'garden' : 'radio';
      world.cluster.status = {
        ...APPLIED,
        steps: APPLIED.steps.map((s) => ({ ...s, state: 'pending', text: 'Waits.' })),
      };
      const page = await visitor({ javaScriptEnabled });
      await page.goto(origin);
      await page.getByRole('link', { name: 'Log in and begin' }).click();
      await page.getByRole('button', { name: 'paying,' }).click();
      await page.getByRole('link', { name: 'Ask for space' }).click();
      await fill(page, name);
      await page.getByText('tenants/' + name + '/', { exact: false }).first().click();
      await page.getByRole('button', { name: 'Agree and write it' }).click();
      await page.waitForURL(`${origin}/spaces/${name}/status`);
      expect(await page.getByRole('status').textContent()).toContain('Not there yet');
      world.cluster.status = APPLIED;
      await page.getByText('Everything is in place').waitFor({ timeout: 15_000 });
    });
  }

  test('the back button and a double click make one space', async () => {
    const page = await visitor();
    await logIn(page, 'paying', '/spaces/new');
    await fill(page, 'twice');
    await page.getByRole('button', { name: 'Agree and write it' }).dblclick();
    await page.waitForURL(`${origin}/spaces/twice/status`);
    // A page that the browser kept fires no load event.
    await page.goBack({ waitUntil: 'commit' });
    await page.getByRole('heading', { name: 'Check your answers' }).waitFor();
    await page.goBack({ waitUntil: 'commit' });
    await page.getByLabel('Name').waitFor();
    expect(await page.getByLabel('Name').inputValue()).toBe('twice');
    await page.goto(`${origin}/spaces`);
    expect(await page.getByRole('link', { name: 'twice' }).count()).toBe(1);
  });

  test('a session that ends while the form is open loses nothing', async () => {
    const page = await visitor();
    await logIn(page, 'paying', '/spaces/new');
    await page.getByLabel('Name').fill('kept');
    await page.getByLabel('Repository').fill('https://codeberg.org/paying/kept');
    await page.context().clearCookies({ name: 'session' });
    await page.getByRole('button', { name: 'Check your answers' }).click();
    await page.waitForURL(/parked=/);
    expect(await page.getByText('What you typed is still here').isVisible()).toBe(true);
    expect(await page.getByLabel('Name').inputValue()).toBe('kept');
  });

  test('a lapsed and a disabled member are told so', async () => {
    const lapsed = await visitor();
    await logIn(lapsed, 'lapsed');
    expect(await lapsed.getByText('Your membership is not paid').isVisible()).toBe(true);
    const disabled = await visitor();
    await disabled.goto(`${origin}/login?to=/spaces`);
    await disabled.getByRole('button', { name: 'disabled,' }).click();
    expect(await disabled.getByText('Account is disabled').isVisible()).toBe(true);
  });

  test('an administrator finds a member’s space', async () => {
    const member = await visitor();
    await logIn(member, 'paying', '/spaces/new');
    await fill(member, 'findme');
    await member.getByRole('button', { name: 'Agree and write it' }).click();
    await member.waitForURL(`${origin}/spaces/findme/status`);
    const page = await visitor();
    await logIn(page, 'admin', '/admin');
    await page.getByLabel('Find by name or owner').fill('findme');
    await page.getByRole('button', { name: 'Find' }).click();
    await page.getByRole('link', { name: 'findme' }).click();
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('findme');
  });

  test('logging out ends the session here and at the provider', async () => {
    const page = await visitor();
    await logIn(page, 'lapsed');
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.waitForURL(`${origin}/`);
    await page.goto(`${origin}/spaces`);
    expect(page.url()).toContain('/interaction/');
  });

  test('the whole way by keyboard alone', async () => {
    const page = await visitor();
    await logIn(page, 'admin', '/spaces/new');
    await page.keyboard.press('Tab');
    expect(await focused(page)).toBe('Skip to the content');
    await page.keyboard.press('Enter');
    const walk = async (text: string) => {
      for (let i = 0; i < 40; i++) {
        if ((await focused(page)).startsWith(text)) return;
        await page.keyboard.press('Tab');
      }
      throw new Error(`Tab never reached ${text}`);
    };
    await walk('name');
    await page.keyboard.type('by-keyboard');
    await walk('url');
    await page.keyboard.type('https://codeberg.org/admin/keys');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Check your answers' }).waitFor();
    await walk('Agree and write it');
    await page.keyboard.press('Enter');
    await page.waitForURL(`${origin}/spaces/by-keyboard/status`);
  });

  /** What has the focus: the id of a field, or the text of anything else. */
  function focused(page: Page): Promise<string> {
    return page.evaluate(() => {
      const element = document.activeElement as HTMLElement | null;
      return element?.id || element?.textContent?.trim() || '';
    });
  }

  test('no page asks anything of another origin, and all stay under 40 kB', async () => {
    const page = await visitor();
    const foreign: string[] = [];
    page.on('request', (request) => {
      const { origin: to, protocol } = new URL(request.url());
      if (protocol !== 'data:' && to !== origin && to !== world.keycloak.url) foreign.push(to);
    });
    await logIn(page, 'paying');
    let bytes = 0;
    page.on('response', async (response) => {
      bytes += (await response.body().catch(() => Buffer.alloc(0))).length;
    });
    for (const path of ['/', '/spaces', '/spaces/new', '/spaces/garden', '/spaces/garden/status']) {
      bytes = 0;
      await page.goto(origin + path);
      expect(bytes, path).toBeLessThan(40_000);
    }
    expect(foreign).toEqual([]);
  });
});
