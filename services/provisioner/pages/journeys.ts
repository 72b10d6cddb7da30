/** The journeys of the portal in a real browser, for tests: the same for the facade and for the real Keycloak. */
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type RunningBrowser, startBrowser } from '../../../tests/peers/browser.ts';
import type { House } from './houses.ts';
import { CSS, JS } from './style.ts';
import { APPLIED } from './world.ts';

/** Every journey, in the house that `open` opens. */
export function journeys(open: () => Promise<House>) {
  let running: RunningBrowser;
  let house: House;
  let origin: string;
  const contexts: BrowserContext[] = [];

  beforeAll(async () => {
    running = await startBrowser();
    house = await open();
    origin = house.origin;
  });
  afterAll(async () => {
    await running?.stop();
    await house?.[Symbol.asyncDispose]();
  });
  afterEach(async () => {
    for (const context of contexts.splice(0)) await context.close();
    await house.reset();
  });

  async function visitor(options: Parameters<Browser['newContext']>[0] = {}): Promise<Page> {
    const context = await running.browser.newContext(options);
    context.setDefaultTimeout(20_000);
    contexts.push(context);
    return await context.newPage();
  }

  async function logIn(page: Page, username: string, to = '/spaces') {
    await page.goto(`${origin}/login?to=${to}`);
    await house.logInAs(page, username);
    await page.waitForURL(`${origin}${to}`);
  }

  async function fill(page: Page, name: string) {
    await page.getByLabel('Name').fill(name);
    await page.getByLabel('Repository').fill(`https://codeberg.org/paying/${name}`);
    await page.getByRole('button', { name: 'Check your answers' }).click();
  }

  async function claim(page: Page, name: string) {
    await fill(page, name);
    await page.getByRole('button', { name: 'Agree and write it' }).click();
    await page.waitForURL(`${origin}/spaces/${name}/status`);
  }

  for (const javaScriptEnabled of [true, false]) {
    const title = javaScriptEnabled ? 'with JavaScript' : 'without JavaScript';
    test(`a paying member goes from the landing page to a space of their own, ${title}`, async () => {
      const name = javaScriptEnabled ? 'garden' : 'radio';
      if (house.cluster) {
        house.cluster.status = {
          ...APPLIED,
          steps: APPLIED.steps.map((s) => ({ ...s, state: 'pending', text: 'Waits.' })),
        };
      }
      const page = await visitor({ javaScriptEnabled });
      await page.goto(origin);
      await page.getByRole('link', { name: 'Log in and begin' }).click();
      await house.logInAs(page, 'paying');
      await page.getByRole('link', { name: 'Ask for a space' }).click();
      await fill(page, name);
      await page.getByText('The exact change, for the curious').click();
      await page.getByText(`tenants/${name}/namespace.yaml`).click();
      expect(await page.getByText('+kind: Namespace').isVisible()).toBe(true);
      await page.getByRole('button', { name: 'Agree and write it' }).click();
      await page.waitForURL(`${origin}/spaces/${name}/status`);
      expect(await page.getByRole('listitem').filter({ hasText: 'Written down' }).textContent())
        .toMatch(/done.*Committed: [0-9a-f]{12}/s);
      expect(await page.getByRole('status').textContent()).toContain('Not there yet');
      if (!house.cluster) return;
      house.cluster.status = APPLIED;
      await page.getByText('Everything is in place').waitFor();
    });
  }

  test('a space is changed, paused, resumed, taken along and deleted by its name', async () => {
    const page = await visitor();
    await logIn(page, 'paying', '/spaces/new');
    await claim(page, 'whole-life');
    await page.goto(`${origin}/spaces/whole-life`);
    await page.getByRole('link', { name: 'Change', exact: true }).click();
    await page.getByLabel('Folder').fill('./apps');
    await page.getByRole('button', { name: 'Check your answers' }).click();
    await page.getByRole('button', { name: 'Agree and write it' }).click();
    await page.waitForURL(/status$/);
    await page.goto(`${origin}/spaces/whole-life`);
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByText('is paused, as you asked').waitFor();
    await page.getByRole('button', { name: 'Go on' }).click();
    await page.getByRole('button', { name: 'Pause' }).waitFor();
    const kubeconfig = page.waitForEvent('download');
    await page.getByRole('link', { name: 'Download kubeconfig' }).click();
    expect((await kubeconfig).suggestedFilename()).toBe('kubeconfig-whole-life.yaml');
    await page.getByRole('link', { name: 'Delete' }).click();
    const archive = page.waitForEvent('download');
    await page.getByRole('link', { name: 'Download an archive' }).click();
    expect((await archive).suggestedFilename()).toBe('whole-life.tar.gz');
    await page.getByLabel('Type whole-life to confirm').fill('whole');
    await page.getByRole('button', { name: 'Delete for good' }).click();
    await page.getByText('Nothing was deleted').waitFor();
    await page.getByLabel('Type whole-life to confirm').fill('whole-life');
    await page.getByRole('button', { name: 'Delete for good' }).click();
    await page.waitForURL(`${origin}/spaces`);
    await page.goto(`${origin}/spaces/whole-life/history`);
    const entries = await page.locator('.changes li > span:first-child').allTextContents();
    expect(entries).toEqual([
      'Began to delete the space',
      'Went on with the space',
      'Paused the space',
      'Changed the folder to ./apps',
      'Asked for the space',
    ]);
  });

  test('two tabs log in at the same time, and agree to the same answers: one space', async () => {
    const one = await visitor();
    const two = await one.context().newPage();
    await one.goto(`${origin}/login?to=/spaces/new?tab=1`);
    await two.goto(`${origin}/login?to=/spaces/new?tab=2`);
    await house.logInAs(one, 'paying');
    await one.waitForURL(`${origin}/spaces/new?tab=1`);
    // Keycloak's second login page may have seen that the first was enough.
    await two.bringToFront();
    await Promise.race([
      two.waitForURL(`${origin}/spaces/new?tab=2`),
      house.logInAs(two, 'paying').catch(() => {}),
    ]);
    await two.goto(`${origin}/spaces/new`);
    await fill(one, 'tabs');
    await fill(two, 'tabs');
    for (const page of [one, two]) {
      await page.bringToFront();
      await page.getByRole('button', { name: 'Agree and write it' }).click();
      await page.waitForURL(`${origin}/spaces/tabs/status`);
    }
    await one.goto(`${origin}/spaces/tabs/history`);
    expect(await one.locator('.changes li').count()).toBe(1);
  });

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

  for (const javaScriptEnabled of [true, false]) {
    const title = javaScriptEnabled ? 'with JavaScript' : 'without JavaScript';
    test(`a session that ends while the form is open loses nothing, ${title}`, async () => {
      const page = await visitor({ javaScriptEnabled });
      const name = javaScriptEnabled ? 'kept' : 'kept-plain';
      await logIn(page, 'paying', '/spaces/new');
      await page.getByLabel('Name').fill(name);
      await page.getByLabel('Repository').fill(`https://codeberg.org/paying/${name}`);
      await page.getByLabel('Folder').fill('./typed');
      await house.endSession(page, 'paying');
      await page.getByRole('button', { name: 'Check your answers' }).click();
      await backAfterLogin(page, 'paying');
      expect(await page.getByText('What you typed is still here').isVisible()).toBe(true);
      expect(await page.getByLabel('Name').inputValue()).toBe(name);
      expect(await page.getByLabel('Folder').inputValue()).toBe('./typed');
      await page.getByRole('button', { name: 'Check your answers' }).click();
      await page.getByRole('heading', { name: 'Check your answers' }).waitFor();
      // And once more, on the page after it.
      await house.endSession(page, 'paying');
      await page.getByRole('button', { name: 'Agree and write it' }).click();
      await backAfterLogin(page, 'paying');
      await page.getByRole('button', { name: 'Agree and write it' }).click();
      await page.waitForURL(`${origin}/spaces/${name}/status`);
      await page.goto(`${origin}/spaces/${name}`);
      expect(await page.getByText('./typed').isVisible()).toBe(true);
    });
  }

  /** The provider asks again where its own session has ended too. */
  async function backAfterLogin(page: Page, username: string) {
    await page.waitForURL((url) => url.origin === house.login || /parked=/.test(url.search));
    if (new URL(page.url()).origin === house.login) await house.logInAs(page, username);
    await page.waitForURL(/parked=/);
  }

  test('a lapsed and a disabled member are told so, and what to do', async () => {
    const lapsed = await visitor();
    await logIn(lapsed, 'lapsed');
    expect(await lapsed.getByText('Your membership is not paid').isVisible()).toBe(true);
    expect(await lapsed.getByRole('link', { name: 'How to become' }).getAttribute('href'))
      .toBe('https://space.example/join');
    await lapsed.goto(`${origin}/spaces/new`);
    expect(await lapsed.getByLabel('Repository').count()).toBe(0);
    const disabled = await visitor();
    await disabled.goto(`${origin}/login?to=/spaces`);
    await house.logInAs(disabled, 'disabled');
    await disabled.getByText('Account is disabled').waitFor();
    await disabled.goto(`${origin}/`);
    expect(await disabled.getByRole('link', { name: 'Log in', exact: true }).isVisible()).toBe(
      true,
    );
  });

  test('who stops paying keeps what runs, and cannot ask for more', async () => {
    const page = await visitor();
    await logIn(page, 'paying', '/spaces/new');
    await claim(page, 'lapses');
    await house.stopsPaying('paying');
    await page.goto(`${origin}/spaces`);
    expect(await page.getByText('Your membership is not paid').isVisible()).toBe(true);
    expect(await page.getByRole('link', { name: 'lapses' }).isVisible()).toBe(true);
    expect(await page.getByRole('link', { name: 'Ask for a space' }).count()).toBe(0);
    await page.goto(`${origin}/spaces/lapses/status`);
    expect(await page.getByText('What runs goes on for its time of grace').isVisible()).toBe(true);
  });

  test('an administrator finds a member’s space, and nobody else does', async () => {
    const member = await visitor();
    await logIn(member, 'paying', '/spaces/new');
    await claim(member, 'findme');
    const page = await visitor();
    await logIn(page, 'admin', '/admin');
    await page.getByLabel('Find by name or owner').fill('findme');
    await page.getByLabel('State').selectOption({ label: 'active' });
    await page.getByRole('button', { name: 'Find' }).click();
    expect(await page.getByText('Nothing is due').isVisible()).toBe(true);
    expect(await page.getByText('The breaker is closed').isVisible()).toBe(true);
    await page.getByRole('link', { name: 'findme' }).click();
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('findme');
    const other = await visitor();
    await logIn(other, 'lapsed');
    expect(await other.getByRole('link', { name: 'Administration' }).count()).toBe(0);
    expect((await other.goto(`${origin}/spaces/findme`))!.status()).toBe(404);
    expect((await other.goto(`${origin}/admin`))!.status()).toBe(403);
  });

  test('logging out ends the session here and at the provider', async () => {
    const page = await visitor();
    await logIn(page, 'lapsed');
    await page.getByRole('button', { name: 'Log out' }).click();
    await house.confirmLogout(page);
    await page.waitForURL(`${origin}/`);
    await page.goto(`${origin}/spaces`);
    expect(new URL(page.url()).origin).toBe(house.login);
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
    await walk('The exact change');
    await page.keyboard.press('Enter');
    await walk('tenants/by-keyboard/');
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

  test('a slow and failing network: a double click still makes one space, and the page catches up', async () => {
    const page = await visitor();
    await logIn(page, 'paying', '/spaces/new');
    const wire = await page.context().newCDPSession(page);
    await wire.send('Network.enable');
    const network = (offline: boolean) =>
      wire.send('Network.emulateNetworkConditions', {
        offline,
        latency: 800,
        downloadThroughput: 20_000,
        uploadThroughput: 10_000,
      });
    await network(false);
    if (house.cluster) house.cluster.status = undefined;
    await fill(page, 'slowly');
    await page.getByRole('button', { name: 'Agree and write it' }).dblclick();
    await page.waitForURL(`${origin}/spaces/slowly/status`);
    await network(true);
    if (house.cluster) {
      // Longer than one poll: some of them fail.
      await page.waitForTimeout(3000);
      house.cluster.status = APPLIED;
      await network(false);
      await page.getByText('Everything is in place').waitFor();
    }
    await network(false);
    await page.goto(`${origin}/spaces/slowly/history`);
    expect(await page.locator('.changes li').count()).toBe(1);
  });

  test('screen readers are told of progress in a status line that has a name and stays', async () => {
    const page = await visitor();
    await logIn(page, 'paying', '/spaces/new');
    if (house.cluster) house.cluster.status = undefined;
    await claim(page, 'spoken');
    const line = page.getByRole('status', { name: 'Progress of spoken: where it stands' });
    const wire = await page.context().newCDPSession(page);
    const { nodes } = await wire.send('Accessibility.getFullAXTree');
    const node = nodes.find((n) => n.role?.value === 'status');
    expect(node?.name?.value).toBe('Progress of spoken: where it stands');
    expect(node?.properties?.find((p) => p.name === 'live')?.value.value).toBe('polite');
    if (!house.cluster) return;
    await line.evaluate((element) => (element as { mark?: boolean }).mark = true);
    house.cluster.status = APPLIED;
    await page.getByText('Everything is in place').waitFor();
    // Replaced, it would not be read out.
    expect(await line.evaluate((element) => (element as { mark?: boolean }).mark)).toBe(true);
    expect(await page.getByText('This page keeps itself up to date').count()).toBe(0);
  });

  test('no page asks anything of another origin, and all stay under 40 kB', async () => {
    const page = await visitor();
    const foreign: string[] = [];
    page.on('request', (request) => {
      const { origin: to, protocol } = new URL(request.url());
      if (protocol !== 'data:' && to !== origin && to !== house.login) foreign.push(to);
    });
    await logIn(page, 'admin', '/spaces/new');
    await claim(page, 'measured');
    const wire = await page.context().newCDPSession(page);
    await wire.send('Network.enable');
    await wire.send('Network.setCacheDisabled', { cacheDisabled: true });
    let sizes: Promise<number>[] = [];
    const images = /^image\//;
    page.on('response', (response) => {
      if (images.test(response.headers()['content-type'] ?? '')) return;
      sizes.push(response.body().then((body) => body.length, () => 0));
    });
    const check = new URLSearchParams({
      name: 'other',
      url: 'https://codeberg.org/paying/other',
      plan: 'small',
    });
    const own = ['', '/status', '/edit', '/history', '/delete'].map((p) => `/spaces/measured${p}`);
    const all = ['/', '/spaces', '/spaces/new', `/spaces/new/check?${check}`, '/admin', '/nothing'];
    for (const path of [...all, ...own]) {
      sizes = [];
      await page.goto(origin + path, { waitUntil: 'networkidle' });
      const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
      // With the stylesheet and the script in it, that is.
      expect(bytes, path).toBeGreaterThan(CSS.length + JS.length);
      expect(bytes, path).toBeLessThan(40_000);
    }
    expect(foreign).toEqual([]);
  });

  return { visitor, logIn, claim, house: () => house };
}
