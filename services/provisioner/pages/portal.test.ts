import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { setupLogging } from '@hackspace/kit/log.ts';
import { PEOPLE } from '../../../dev/keycloak-facade.ts';
import { type Browser, createBrowser } from '../auth/browser.ts';
import { DAY } from '../tenant/fixtures.ts';
import { day } from './layout.ts';
import { createTexts } from './texts.ts';
import { openWorld, type World } from './world.ts';

const ORIGIN = 'https://my.space.example';
const lines: string[] = [];
setupLogging({ service: 'test', level: 'debug', write: (line) => lines.push(line) });

let world: World;
beforeEach(async () => {
  world = await openWorld(ORIGIN);
});
afterEach(async () => {
  for (const person of PEOPLE) world.keycloak.change(person.username, person);
  await world[Symbol.asyncDispose]();
});

async function logIn(username: string): Promise<Browser> {
  const browser = createBrowser({ local: { [ORIGIN]: (request) => world.app.fetch(request) } });
  const form = await browser.go(`${ORIGIN}/login?to=/spaces`);
  await browser.post(form.url, { username });
  return browser;
}

const ANSWERS = {
  name: 'garden',
  plan: 'small',
  url: 'https://codeberg.org/paying/garden',
  ref: 'main',
  path: './',
  calendar: 'yes',
};

/** The hidden fields of the page's form, as a browser without JavaScript would send them. */
function hidden(page: string): Record<string, string> {
  const unescape = (text: string) =>
    text.replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&lt;', '<')
      .replaceAll('&gt;', '>').replaceAll('&amp;', '&');
  const form = page.split(/<form\s+method="post"/).at(-1)!;
  return Object.fromEntries(
    [...form.matchAll(/<input\s+type="hidden"\s+name="([^"]*)"\s+value="([^"]*)"/g)]
      .map((m) => [m[1]!, unescape(m[2]!)]),
  );
}

async function ask(browser: Browser, answers: Record<string, string> = ANSWERS) {
  const check = await browser.post(`${ORIGIN}/spaces/new`, answers);
  expect(check.status, check.text).toBe(200);
  return await browser.post(`${ORIGIN}/spaces/new/check`, hidden(check.text));
}

const git = (...args: string[]) =>
  execFileSync('git', ['-C', join(world.dir, 'tenants.git'), ...args], { encoding: 'utf8' });

test('a paying member asks, sees the real change, agrees, and it is committed as shown', async () => {
  const browser = await logIn('paying');
  expect((await browser.go(`${ORIGIN}/spaces`)).text).toContain('Your membership is paid');
  const check = await browser.post(`${ORIGIN}/spaces/new`, ANSWERS);
  expect(check.text).toContain('Nothing has been written yet');
  expect(check.text).toContain('tenants/garden/');
  expect(check.text).toContain('+kind: Namespace');
  expect(() => git('rev-parse', 'main')).toThrow();
  const status = await browser.post(`${ORIGIN}/spaces/new/check`, hidden(check.text));
  expect(status.url).toBe(`${ORIGIN}/spaces/garden/status`);
  expect(status.text).toContain('Everything is in place');
  expect(git('log', '--format=%an %s', 'main').trim()).toBe('paying tenants: claim garden');
  const space = await browser.go(`${ORIGIN}/spaces/garden`);
  expect(space.text).toContain('640 MiB of 2 GiB');
  expect(space.text).toContain('Asked for the space');
});

test('sending the agreement twice is one commit', async () => {
  const browser = await logIn('paying');
  const check = await browser.post(`${ORIGIN}/spaces/new`, ANSWERS);
  const fields = hidden(check.text);
  const both = await Promise.all(
    [1, 2].map(() => browser.post(`${ORIGIN}/spaces/new/check`, fields)),
  );
  expect(both.map((page) => page.url)).toEqual(Array(2).fill(`${ORIGIN}/spaces/garden/status`));
  expect(git('rev-list', '--count', 'main').trim()).toBe('1');
});

test('agreeing to something else than was shown shows it anew and writes nothing', async () => {
  const browser = await logIn('paying');
  const check = await browser.post(`${ORIGIN}/spaces/new`, ANSWERS);
  const page = await browser.post(`${ORIGIN}/spaces/new/check`, {
    ...hidden(check.text),
    path: './other',
  });
  expect(page.url).toContain('stale=1');
  expect(page.text).toContain('Something changed since you looked');
  expect(() => git('rev-parse', 'main')).toThrow();
});

test('every fault stands beside its field, and what was typed is kept', async () => {
  const browser = await logIn('paying');
  const page = await browser.post(`${ORIGIN}/spaces/new`, {
    ...ANSWERS,
    name: 'kube-system',
    url: 'https://evil.example/x',
    path: '../up',
  });
  expect(page.status).toBe(400);
  expect(page.text).toContain('belongs to the cluster itself');
  expect(page.text).toContain('is on a host that this space does not allow');
  expect(page.text).toMatch(/value="\.\.\/up"/);
  expect(page.text.match(/aria-invalid="true"/g)).toHaveLength(3);
});

test('a taken name is said on the form, and not whose it is', async () => {
  await ask(await logIn('paying'));
  const other = await logIn('admin');
  const page = await other.post(`${ORIGIN}/spaces/new`, ANSWERS);
  expect(page.status).toBe(400);
  expect(page.text).toContain('it is taken');
});

test('who does not pay is told how to, and cannot ask; an unknown answer blames nobody', async () => {
  const lapsed = await logIn('lapsed');
  expect((await lapsed.go(`${ORIGIN}/spaces`)).text).toContain('https://space.example/join');
  expect((await lapsed.go(`${ORIGIN}/spaces/new`)).text).not.toContain('name="url"');
  expect((await lapsed.post(`${ORIGIN}/spaces/new`, ANSWERS)).status).toBe(403);
  const paying = await logIn('paying');
  await ask(paying);
  world.keycloak.fail(500);
  const page = await paying.go(`${ORIGIN}/spaces`);
  expect(page.text).toContain('We cannot tell right now');
  expect(page.text).toContain('garden');
  world.keycloak.fail(undefined);
});

test('another member’s space looks exactly like one that is not there', async () => {
  await ask(await logIn('paying'));
  const lapsed = await logIn('lapsed');
  for (const path of ['', '/status', '/edit', '/history', '/kubeconfig', '/export', '/delete']) {
    const [theirs, none] = await Promise.all([
      lapsed.go(`${ORIGIN}/spaces/garden${path}`),
      lapsed.go(`${ORIGIN}/spaces/nothing${path}`),
    ]);
    const blind = (text: string) => text.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '');
    expect([theirs.status, blind(theirs.text)]).toEqual([404, blind(none.text)]);
  }
  for (const path of ['suspend', 'resume', 'delete', 'calendar', 'edit']) {
    const [theirs, none] = await Promise.all(
      ['garden', 'nothing'].map((name) =>
        lapsed.post(`${ORIGIN}/spaces/${name}/${path}`, { typed: 'garden' })
      ),
    );
    expect(theirs!.status).toBeGreaterThanOrEqual(403);
    expect(theirs!.status).toBe(none!.status);
  }
  expect((await lapsed.go(`${ORIGIN}/admin`)).status).toBe(403);
});

test('changing shows the change alone; what is the same already is said', async () => {
  const browser = await logIn('paying');
  await ask(browser);
  const form = await browser.go(`${ORIGIN}/spaces/garden/edit`);
  expect(form.text).toContain('value="https://codeberg.org/paying/garden"');
  const same = await browser.post(`${ORIGIN}/spaces/garden/edit`, ANSWERS);
  expect(same.text).toContain('Nothing would change');
  const check = await browser.post(`${ORIGIN}/spaces/garden/edit`, { ...ANSWERS, path: './apps' });
  expect(check.text).toContain('+  path: ./apps');
  await browser.post(`${ORIGIN}/spaces/garden/edit/check`, hidden(check.text));
  expect((await browser.go(`${ORIGIN}/spaces/garden`)).text).toContain('./apps');
  const history = await browser.go(`${ORIGIN}/spaces/garden/history`);
  expect(history.text).toContain('Changed the folder to ./apps');
});

test('pause and go on; delete only by the name, the export before it', async () => {
  const browser = await logIn('paying');
  await ask(browser);
  expect((await browser.post(`${ORIGIN}/spaces/garden/suspend`, {})).text).toContain(
    'is paused, as you asked',
  );
  expect((await browser.post(`${ORIGIN}/spaces/garden/resume`, {})).text).not.toContain(
    'is paused',
  );
  const form = await browser.go(`${ORIGIN}/spaces/garden/delete`);
  expect(form.text).toContain('/spaces/garden/export');
  const archive = await browser.go(`${ORIGIN}/spaces/garden/export`);
  expect(archive.headers.get('content-disposition')).toContain('garden.tar.gz');
  const wrong = await browser.post(`${ORIGIN}/spaces/garden/delete`, { typed: 'gardne' });
  expect([wrong.status, wrong.text.includes('Nothing was deleted')]).toEqual([400, true]);
  await browser.post(`${ORIGIN}/spaces/garden/delete`, { typed: 'garden' });
  expect((await browser.go(`${ORIGIN}/spaces`)).text).toContain('being deleted');
});

test('a feed’s address is shown once, with its QR code', async () => {
  const browser = await logIn('paying');
  await ask(browser);
  const shown = await browser.post(`${ORIGIN}/spaces/garden/calendar`, {});
  expect(shown.text).toContain(`token=${'0'.repeat(64)}`);
  expect(shown.text).toContain('<svg');
  expect((await browser.go(`${ORIGIN}/spaces/garden`)).text).not.toContain('token=');
  for (const value of browser.jar(ORIGIN).values()) expect(value).not.toContain('token=');
});

test('red steps say what to do, pending ones reload, a silent cluster blames nobody', async () => {
  const browser = await logIn('paying');
  await ask(browser);
  world.cluster.status = {
    steps: [
      { key: 'fetched', state: 'done', text: 'Read.' },
      { key: 'applied', state: 'failed', text: '<b>Refused</b>', help: 'Ask for less.' },
      { key: 'healthy', state: 'pending', text: 'Waits.' },
    ],
    quota: [],
    drift: ['<i>drifted</i>'],
  };
  const red = await browser.go(`${ORIGIN}/spaces/garden/status`);
  expect(red.text).toContain('&lt;b&gt;Refused&lt;/b&gt;');
  expect(red.text).toContain('Ask for less.');
  expect(red.text).toContain('http-equiv="refresh"');
  expect((await browser.go(`${ORIGIN}/spaces/garden`)).text).toContain('&lt;i&gt;drifted');
  world.cluster.status = undefined;
  expect((await browser.go(`${ORIGIN}/spaces/garden/status`)).text).toContain('cannot tell');
  expect((await browser.go(`${ORIGIN}/spaces/garden`)).status).toBe(200);
});

test('an administrator finds any space; filters and hostile queries are harmless', async () => {
  await ask(await logIn('paying'));
  const admin = await logIn('admin');
  expect((await admin.go(`${ORIGIN}/admin`)).text).toContain('garden');
  expect((await admin.go(`${ORIGIN}/admin?q=zzz`)).text).toContain('Nothing fits');
  expect((await admin.go(`${ORIGIN}/admin?state=grace`)).text).toContain('Nothing fits');
  const evil = await admin.go(`${ORIGIN}/admin?q=${encodeURIComponent('"><script>')}&from=-5`);
  expect(evil.text).not.toContain('"><script>');
  expect((await admin.go(`${ORIGIN}/admin/spaces/garden`)).status).toBe(200);
});

test('every page forbids framing, inline script and other origins; assets are cached for ever', async () => {
  const browser = await logIn('paying');
  for (const path of ['/', '/spaces', '/spaces/new', '/nothing']) {
    const { headers } = await browser.go(`${ORIGIN}${path}`);
    const policy = headers.get('content-security-policy')!;
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain('unsafe');
  }
  const page = await browser.go(`${ORIGIN}/`);
  const css = page.text.match(/href="(\/assets\/[^"]*\.css)"/)![1];
  const asset = await browser.go(`${ORIGIN}${css}`);
  expect(asset.headers.get('cache-control')).toContain('immutable');
});

test('a session that ends on the check page comes back with the answers, in one piece', async () => {
  const browser = await logIn('paying');
  const check = await browser.post(`${ORIGIN}/spaces/new`, ANSWERS);
  const fields = hidden(check.text);
  browser.jar(ORIGIN).delete('__Host-session');
  const back = await browser.post(`${ORIGIN}/spaces/new/check`, fields);
  expect(back.url).toContain('/spaces/new/check?parked=');
  expect(back.status, back.text).toBe(200);
  expect(hidden(back.text)).toEqual(fields);
  expect((await browser.post(`${ORIGIN}/spaces/new/check`, hidden(back.text))).url)
    .toBe(`${ORIGIN}/spaces/garden/status`);
});

test('a session that ends at a button leads back to where the button is', async () => {
  const browser = await logIn('paying');
  await ask(browser);
  for (const path of ['suspend', 'resume', 'calendar']) {
    browser.jar(ORIGIN).delete('__Host-session');
    const page = await browser.post(`${ORIGIN}/spaces/garden/${path}`, {});
    expect([page.status, page.url]).toEqual([200, `${ORIGIN}/spaces/garden`]);
  }
});

test('when the member list is silent the form keeps what was typed, and blames nobody', async () => {
  const browser = await logIn('paying');
  world.keycloak.fail(500);
  const page = await browser.post(`${ORIGIN}/spaces/new`, ANSWERS);
  world.keycloak.fail(undefined);
  expect([page.status, page.headers.get('retry-after')]).toEqual([503, '60']);
  expect(page.text).toContain('We cannot tell right now');
  expect(page.text).toContain(`value="${ANSWERS.url}"`);
  expect((await browser.post(`${ORIGIN}/spaces/new`, ANSWERS)).url).toContain('/check?');
});

test('grace is told with its date, on the list and on the space', async () => {
  const browser = await logIn('paying');
  await ask(browser);
  world.keycloak.change('paying', { groups: [] });
  let at = new Date();
  for (const hour of [0, 1, 2]) at = await world.sweepAt(hour * 3_600_000);
  const date = `On ${day(createTexts(), new Date(at.getTime() + 30 * DAY).toISOString())}`;
  for (const path of ['', '/garden']) {
    const { text } = await browser.go(`${ORIGIN}/spaces${path}`);
    expect(text).toContain('Your membership is not paid.');
    expect(text, path).toContain(date);
  }
  expect((await browser.go(`${ORIGIN}/spaces/garden/history`)).text)
    .toContain('The time of grace began: the membership is not paid');
});

test('a calendar service that is away is said on the page, with the way to try again', async () => {
  const browser = await logIn('paying');
  await ask(browser);
  world.feed.away = true;
  const page = await browser.post(`${ORIGIN}/spaces/garden/calendar`, {});
  expect([page.status, page.text.includes('does not answer right now')]).toEqual([503, true]);
  expect(page.text).toContain('Make a new address');
});

test('no log line of all this holds a token, a cookie or a secret', () => {
  expect(lines.join('\n')).not.toMatch(/0{64}|eyJ|portal-secret|sweeper-secret|space\.example"/);
});
