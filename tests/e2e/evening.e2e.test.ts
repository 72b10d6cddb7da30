// One evening at the hackspace, on the real programs, told step by step: from a member's login to the day
// their space is taken back. No pod runs here (the cluster is a control plane without a kubelet), so
// sabre/dav, which Baikal is made of, runs as a process where the member's own pod would, External
// Secrets' calls are made by this test, and the member's time runs in seconds by the provisioner's config.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type House, leaveHouse, raiseHouse } from '../../dev/house.ts';
import { openPlace, type Place } from '../../dev/place.ts';
import { restartVault } from '../../dev/vault.ts';
import { startBrowser } from '../peers/browser.ts';
import { readByPython, startVdirsyncer } from '../peers/calendar-clients.ts';
import { passwordOf, type PersonName } from '../peers/keycloak.ts';
import { ask } from '../peers/lib/http.ts';
import { needs } from '../peers/lib/needs.ts';
import { openSandbox } from '../peers/lib/sandbox.ts';
import { waitFor } from '../peers/lib/wait.ts';
import { type Sabre, startSabre } from '../peers/sabre.ts';
import { type Smtp, startSmtp } from '../peers/smtp.ts';

const EVENTS = {
  'seeds.ics': [
    'UID:seeds@garden',
    'DTSTART:20270320T170000Z',
    'DTEND:20270320T190000Z',
    'SUMMARY:Seed swap',
  ],
  'dig.ics': [
    'UID:dig@garden',
    'DTSTART;VALUE=DATE:20270403',
    'SUMMARY:Digging day\\, bring boots',
  ],
};
const ics = (lines: string[]) =>
  [
    'BEGIN:VCALENDAR',
    'VERSION:2.0',
    'PRODID:-//garden//EN',
    'BEGIN:VEVENT',
    'DTSTAMP:20261101T120000Z',
  ]
    .concat(lines, 'END:VEVENT', 'END:VCALENDAR', '').join('\r\n');

needs(
  ...['openbao', 'keycloak', 'gitea', 'flux', 'flux-notification', 'git'] as const,
  ...['sabre', 'khal', 'python-icalendar', 'chromium', 'smtp'] as const,
)('one evening', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hackspace-evening-'));
  const lines: string[] = [];
  const began = performance.now();
  const saw = (text: string) => {
    const at = ((performance.now() - began) / 1000).toFixed(1).padStart(6);
    process.stdout.write(`${at} s  ${text}\n`);
  };
  let place: Place;
  let house: House;
  let real: NonNullable<House['real']>;
  let sabre: Sabre;
  let calendar: string;
  let letters: Smtp;
  let page: Page;
  let logIn: (name: PersonName) => Promise<Page>;
  let feed: string;

  beforeAll(async () => {
    const sandbox = await openSandbox('evening');
    const ports: Record<string, string> = {};
    for (const name of ['FRONT', 'ICS_PROXY', 'PROVISIONER', 'UNSEALER']) {
      ports[`PORT_${name}`] = String(await sandbox.port());
    }
    place = openPlace({ ...ports, HACKSPACE_DEV: folder }, { fresh: false });
    [sabre, letters] = await Promise.all([startSabre(), startSmtp()]);
    calendar = await sabre.createCalendar('default');
    const passwordFile = join(folder, 'sabre');
    writeFileSync(passwordFile, sabre.password, { mode: 0o600 });
    house = await raiseHouse(place, {
      real: true,
      log: (line) => void lines.push(line),
      say: saw,
      sources: [{
        id: 'garden',
        type: 'caldav',
        url: sabre.url + calendar,
        auth: { type: 'digest', username: sabre.user, passwordFile },
        allowPrivate: true,
        refresh: '5s',
      }],
      provisioner: {
        sweep: { every: '2s' },
        notify: {
          smtp: {
            ...{ host: '127.0.0.1', port: letters.port, security: 'none' },
            ...{ from: 'hub@hackspace.example', admin: 'board@hackspace.example' },
          },
        },
      },
      policy: { lifecycle: { answers: 2, grace: '4s', suspended: '30s', exported: '4s' } },
    });
    real = house.real!;
    const { browser } = await startBrowser();
    logIn = async (name) => {
      const context = await browser.newContext();
      context.setDefaultTimeout(30_000);
      const page = await context.newPage();
      await page.goto(house.portal);
      await page.getByRole('link', { name: 'Log in and begin' }).click();
      await page.waitForURL((url) => url.href.startsWith(real.keycloak.issuer));
      await page.locator('#username').fill(name);
      await page.locator('#password').fill(passwordOf(name));
      await page.locator('#kc-login').click();
      await page.waitForURL((url) => url.href.startsWith(house.portal));
      return page;
    };
    saw('the house stands: ' + `${real.tree.flux.kubernetes.what}; ${house.vault!.what}`);
  });
  afterAll(async () => {
    await letters?.stop();
    await leaveHouse();
    rmSync(folder, { recursive: true, force: true });
  });

  const cluster = () => real.tree.flux.kubernetes;
  /** Of the tenants repo as the forge has it, newest first. */
  async function commits(): Promise<{ sha: string; subject: string; author: string }[]> {
    const { owner, name } = real.repository;
    const found = await real.forge.call(`/repos/${owner}/${name}/commits?limit=30&stat=false`);
    return found.map((
      each: { sha: string; commit: { message: string; author: { name: string } } },
    ) => ({
      sha: each.sha,
      subject: each.commit.message.split('\n')[0],
      author: each.commit.author.name,
    }));
  }
  /** As `waitReady`, with time for a tenant's retry, which the lock holds to half a minute. */
  function ready(kind: string, namespace: string, name: string, revision = ''): Promise<void> {
    let last: unknown;
    return waitFor(`${kind} ${namespace}/${name} to be ready`, async () => {
      const now = await real.tree.flux.ready(kind, namespace, name);
      last = now;
      return now.status === 'True' && now.revision.includes(revision);
    }, { ms: 120_000, everyMs: 100, explain: () => JSON.stringify(last) });
  }
  async function askForSpace(page: Page, name: string, repository: string) {
    await page.goto(`${house.portal}/spaces/new`);
    await page.getByLabel('Name').fill(name);
    await page.getByLabel('Repository').fill(repository);
    await page.getByLabel('I want a calendar feed').check();
    await page.getByRole('button', { name: 'Check your answers' }).click();
    await page.getByRole('heading', { name: 'Check your answers' }).waitFor();
    const diff = await page.locator('summary').first().textContent();
    await page.getByRole('button', { name: 'Agree and write it' }).click();
    await page.waitForURL(`${house.portal}/spaces/${name}/status`);
    return diff!.trim();
  }

  test('a member logs in with the browser, at Keycloak', async () => {
    page = await logIn('paying');
    const who = page.getByText('Logged in as');
    saw(`Chromium, after Keycloak’s form: “${(await who.textContent())!.trim()}”`);
    expect(await who.textContent()).toContain('Paula Member');
  });

  test('asks for space; the tenant is committed, signed, in the member’s name', async () => {
    const radio = await real.tree.flux.git.createRepository('radio');
    await radio.commit({
      'web.yaml':
        'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {made: by-a-neighbour}\n',
    });
    saw(`the portal shows: “${await askForSpace(page, 'garden', real.garden)}”`);
    const [commit] = await commits();
    saw(`Gitea has ${commit!.sha.slice(0, 8)} “${commit!.subject}” by ${commit!.author}`);
    expect(commit!.subject).toContain('garden');
    // A neighbour, so that there is somebody to be kept apart from.
    await askForSpace(await logIn('admin'), 'radio', radio.url);
  });

  test('Flux verifies the commit and applies it', async () => {
    const [commit] = await commits();
    await ready('GitRepository', 'flux-system', 'tenants', commit!.sha);
    await ready('Kustomization', 'flux-system', 'tenants', commit!.sha);
    const source =
      '/apis/source.toolkit.fluxcd.io/v1/namespaces/flux-system/gitrepositories/tenants';
    const { status } = await cluster().call(source);
    const verified = status.conditions.find((c: { type: string }) => c.type === 'SourceVerified');
    saw(`Flux: ${verified.message.replaceAll(/\s+/g, ' ')}`);
    expect(verified.status).toBe('True');
    const { metadata } = await cluster().call('/api/v1/namespaces/tenant-garden');
    const { spec } = await cluster().call('/api/v1/namespaces/tenant-garden/resourcequotas/tenant');
    const security = metadata.labels['pod-security.kubernetes.io/enforce'];
    saw(`namespace tenant-garden is there: pods up to ${spec.hard.pods}, pod security ${security}`);
    expect([spec.hard.pods, security]).toEqual(['10', 'restricted']);
  });

  test('the member’s own repository is applied, in their namespace only', async () => {
    await ready('Kustomization', 'tenant-garden', 'tenant');
    const path =
      '/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/tenant-garden/kustomizations/tenant';
    const { status } = await cluster().call(path);
    const applied: string[] = status.inventory.entries.map((e: { id: string }) => e.id);
    const kinds = applied.map((id) => id.split('_')).map(([, name, , kind]) => `${kind} ${name}`);
    saw(`Flux applied ${applied.length} objects of it: ${kinds.sort().join(', ')}`);
    expect(applied.filter((id) => !id.startsWith('tenant-garden_'))).toEqual([]);
    expect(kinds).toContain('StatefulSet baikal');
    await page.goto(`${house.portal}/spaces/garden/status`);
    await page.getByText('Everything is in place').waitFor();
    saw('the portal says: “Everything is in place.”');
  });

  test('events put into the CalDAV server come out of the merged feed', async () => {
    for (const [name, event] of Object.entries(EVENTS)) {
      await sabre.put(calendar + name, ics(event));
    }
    const put = performance.now();
    await waitFor('the feed to have them', async () => {
      const text = await (await fetch(house.calendars.feed)).text();
      return text.includes('Seed swap') && text.includes('Digging day');
    });
    const ms = Math.round(performance.now() - put);
    saw(
      `sabre/dav took 2 events by PUT; ics-proxy, which asks every 5 s, served them ${ms} ms later`,
    );
  });

  test('the portal gets a feed address; vdirsyncer and python-icalendar read the same', async () => {
    await page.goto(`${house.portal}/spaces/garden`);
    await page.getByRole('button', { name: 'Make a new address' }).click();
    feed = (await page.locator('.card a.mono').getAttribute('href'))!;
    expect(feed).toMatch(/\/proxy\/space\.ics\?token=.{20}/);
    expect(feed).not.toBe(house.calendars.feed);
    const text = await (await fetch(feed)).text();
    const read = async (calendars: string) =>
      (await readByPython(calendars)).map(([summary, start]) => `${start} ${summary}`).sort();
    const fromFeed = await read(text);
    const vdirsyncer = await startVdirsyncer(join(folder, 'vdirsyncer'), `url = "${feed}"`);
    await vdirsyncer.sync();
    const files = readdirSync(vdirsyncer.calendar);
    const fromFiles = await read(
      files.map((file) => readFileSync(join(vdirsyncer.calendar, file), 'utf8')).join('\n'),
    );
    const lookedFor = fromFeed.filter((line) => /Seed swap|Digging day/.test(line));
    saw(
      `vdirsyncer wrote ${files.length} files, python-icalendar read ${fromFeed.length} events: the same; among them ${
        lookedFor.join(' and ')
      }`,
    );
    expect(fromFiles).toEqual(fromFeed);
    expect(lookedFor).toEqual([
      '2027-03-20T17:00:00+00:00 Seed swap',
      '2027-04-03 Digging day, bring boots',
    ]);
  });

  test('the vault is restarted, and the unsealer opens it', async () => {
    const times = await restartVault(house.vault!);
    for (const [i, { answered, open }] of times.entries()) {
      saw(
        `${house.vault!.nodes[i]!.id}: answered ${answered} ms after its start, open at ${open} ms`,
      );
    }
    expect(times).toHaveLength(3);
    await page.goto(`${house.portal}/spaces/garden`);
    saw(`the portal says: “${(await page.getByText(/^The vault is/).textContent())!.trim()}”`);
    await page.getByText('The vault is open').waitFor();
  });

  test('each tenant’s ServiceAccount reads its own secret, and no other tenant’s', async () => {
    const bao = house.vault!.bao!;
    const store = (key: string, data: unknown) =>
      bao.call(`/v1/secret/data/${key}`, { method: 'POST', body: { data } });
    await store('tenants/tenant-garden/calendar', { 'caldav-password': sabre.password });
    await store('tenants/tenant-radio/calendar', { 'caldav-password': 'the neighbour’s' });
    const { spec } = await cluster().call(
      '/apis/external-secrets.io/v1/namespaces/tenant-garden/externalsecrets/calendar',
    );
    const { key, property } = spec.data[0].remoteRef;
    const garden = await logInAsTenant('tenant-garden');
    const own = await garden(key);
    expect(own.json().data.data[property]).toBe(sabre.password);
    const answers = [
      (await garden('tenants/tenant-radio/calendar')).status,
      (await (await logInAsTenant('tenant-radio'))('tenants/tenant-garden/calendar')).status,
    ];
    saw(
      `tenant-garden read ${key}: ${own.status}, what sabre/dav takes as password; each other’s: ${answers}`,
    );
    expect(answers).toEqual([403, 403]);
  });

  /** What External Secrets does by a tenant's SecretStore as it is on the cluster. */
  async function logInAsTenant(namespace: string) {
    const { spec } = await cluster().call(
      `/apis/external-secrets.io/v1/namespaces/${namespace}/secretstores/openbao`,
    );
    const { server, path, caBundle, auth } = spec.provider.vault;
    const { serviceAccountRef, expirationSeconds } = auth.jwt.kubernetesServiceAccountToken;
    const jwt = await cluster().createToken(namespace, serviceAccountRef.name, {
      audiences: serviceAccountRef.audiences,
      seconds: expirationSeconds,
    });
    const ca = Buffer.from(caBundle, 'base64').toString();
    const body = { role: auth.jwt.role, jwt };
    const answer = await ask(`${server}/v1/auth/${auth.jwt.path}/login`, {
      ca,
      method: 'POST',
      body,
    });
    expect(answer.status, answer.text).toBe(200);
    const token: string = answer.json().auth.client_token;
    return (key: string) =>
      ask(`${server}/v1/${path}/data/${key}`, { ca, headers: { 'x-vault-token': token } });
  }

  test('the membership lapses: grace, suspended, archived, deleted', async () => {
    const statefulSet = '/apis/apps/v1/namespaces/tenant-garden/statefulsets/baikal';
    const quota = '/api/v1/namespaces/tenant-garden/resourcequotas/tenant';
    await real.keycloak.leaveGroup('paying', 'paying-members');
    saw('Keycloak: paying left the group paying-members');
    const seen: string[] = [];
    let stopped = false;
    await waitFor('the last commit', async () => {
      for (const { subject } of (await commits()).reverse()) {
        const state = /^tenants: garden is (\w+)$/.exec(subject)?.[1];
        if (!state || seen.includes(state)) continue;
        seen.push(state);
        saw(`Gitea has “${subject}”`);
      }
      const answer = await cluster().ask(statefulSet);
      if (!stopped && answer.status === 200 && answer.json().spec.replicas === 0) {
        stopped = true;
        const { spec } = await cluster().call(quota);
        saw(
          `the cluster: StatefulSet baikal has replicas 0, the quota allows ${spec.hard.pods} pods`,
        );
        expect(spec.hard.pods).toBe('0');
        await page.goto(`${house.portal}/spaces/garden`);
        saw(
          `the portal says: “${(await page.locator('.note.bad').first().textContent())!.trim()}”`,
        );
      }
      return seen.includes('deleted');
    }, { ms: 200_000, everyMs: 300, explain: () => seen.join() });
    expect(seen).toEqual(['grace', 'suspended', 'exported', 'draining', 'deleted']);
    expect(stopped).toBe(true);
    await waitFor(
      'the namespace to be gone',
      async () => (await cluster().ask('/api/v1/namespaces/tenant-garden')).status === 404,
      { ms: 90_000 },
    );
    const archives = readdirSync(place.file('provisioner', 'archives'));
    saw(`the cluster: namespace tenant-garden is gone; kept: ${archives.join()}`);
    expect(archives).toHaveLength(1);
    expect((await cluster().ask('/api/v1/namespaces/tenant-radio')).status).toBe(200);
    const subjects = letters.mails.map(({ raw, to }) =>
      `${to}: ${/^Subject: (.*)$/m.exec(raw)?.[1]}`
    );
    for (const each of subjects) saw(`a letter to ${each}`);
    expect(subjects.length).toBeGreaterThanOrEqual(4);
    expect(letters.mails.every(({ to }) => to.join() === 'paying@hackspace.example')).toBe(true);
  });

  test('no line of the services’ logs holds a secret of the evening', () => {
    const secrets = [
      ...house.vault!.keys,
      house.vault!.bao!.rootToken,
      new URL(feed).searchParams.get('token')!,
      sabre.password,
      passwordOf('paying'),
      ...['bridge-token', 'reader-token', 'reviewer-token', 'login-secret', 'lookup-secret']
        .map((name) => place.read(place.file('programs', name))),
      place.read(place.file('programs', 'forge', 'token')),
    ];
    const log = lines.join('\n');
    expect(lines.length).toBeGreaterThan(20);
    expect(secrets.filter((secret) => log.includes(secret))).toEqual([]);
    saw(`the services logged ${lines.length} lines, none with one of ${secrets.length} secrets`);
  });
});
