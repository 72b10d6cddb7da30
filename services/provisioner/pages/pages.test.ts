import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { adminPage, errorPage } from './admin.ts';
import { wordsOf } from './audit.ts';
import { checkPage, formPage, fromFields, toFields } from './form.ts';
import { gallery, shell } from './gallery.ts';
import { homePage } from './landing.ts';
import type { FormValues, Shell } from './model.ts';
import { deletePage, historyPage, spacePage } from './space.ts';
import { statusPage } from './status.ts';
import { CSS, JS } from './style.ts';
import { createTexts, ENGLISH, patternOf, SAID } from './texts.ts';

const EVIL = `"><script>alert(1)</script><img src=x onerror=alert(1)>'&#x3c;`;

/** Every page with the same hostile text in every field that comes from somebody else. */
function hostile(): Record<string, unknown> {
  const evil: Shell = { ...shell, member: { name: EVIL, admin: true } };
  const values: FormValues = {
    name: EVIL,
    plan: EVIL,
    url: EVIL,
    ref: EVIL,
    path: EVIL,
    calendar: true,
  };
  const changes = [{ sha: EVIL, at: EVIL, who: EVIL, text: EVIL, href: EVIL }];
  const steps = (['membership', 'committed', 'fetched', 'applied', 'healthy'] as const).map((
    key,
  ) => ({
    key,
    state: 'failed' as const,
    at: EVIL,
    text: EVIL,
    help: EVIL,
    link: { href: EVIL, text: EVIL },
  }));
  return {
    home: homePage(evil, {
      membership: 'no',
      mayAsk: true,
      spaces: [{ name: EVIL, state: EVIL, repository: EVIL }],
    }),
    form: formPage(evil, {
      values,
      plans: [{ id: EVIL, title: EVIL, limits: EVIL }],
      hosts: [EVIL],
      faults: ['name', 'repository.url', 'plan', EVIL].map((path) => ({ path, message: EVIL })),
      kept: true,
      membership: 'yes',
      editing: EVIL,
    }),
    check: checkPage(evil, {
      values,
      planTitle: EVIL,
      namespace: EVIL,
      files: [{ path: EVIL, kind: 'added', diff: `+${EVIL}\n-${EVIL}` }],
      preview: EVIL,
      stale: true,
    }),
    status: statusPage(evil, { name: EVIL, steps, pending: true }),
    space: spacePage(evil, {
      name: EVIL,
      state: 'grace',
      due: EVIL,
      paused: true,
      namespace: EVIL,
      repository: { url: EVIL, ref: EVIL, path: EVIL },
      quota: [{ name: EVIL, used: EVIL, hard: EVIL, percent: Number.NaN }],
      drift: [EVIL],
      changes,
      vault: 'sealed',
      kubectl: true,
      steps,
      admin: true,
      calendar: { wanted: true, url: EVIL },
    }),
    history: historyPage(evil, EVIL, changes),
    delete: deletePage(evil, EVIL, true),
    admin: adminPage(evil, {
      query: EVIL,
      state: EVIL,
      states: [EVIL],
      rows: [{ name: EVIL, owner: EVIL, plan: EVIL, state: EVIL, since: EVIL }],
      total: 1,
      next: EVIL,
      sweep: [{ name: EVIL, to: EVIL, why: EVIL }],
      breaker: { open: true, count: 1, limit: 1 },
    }),
    error: errorPage(evil, {
      type: EVIL,
      title: EVIL,
      status: 400,
      code: 'invalid',
      detail: EVIL,
      requestId: EVIL,
      faults: [{ path: EVIL, message: EVIL }],
    }),
  };
}

test.each(Object.entries(hostile()))('%s: nothing of others becomes markup', async (_, page) => {
  const text = String(await page);
  expect(text).toContain('&lt;script&gt;alert(1)');
  expect(text).not.toContain('<script>alert');
  expect(text).not.toContain('<img src=x');
  expect(text.match(/<script/g)).toHaveLength(1);
});

test.each(Object.entries(gallery))(
  '%s: every control has a name, every page one h1',
  async (_, page) => {
    const text = String(await page);
    expect(text.match(/<h1[ >]/g)).toHaveLength(1);
    expect(text).toMatch(/^\s*<!doctype html>/);
    expect(text).toContain('<main id="content"');
    const ids = [...text.matchAll(/ id="([^"]*)"/g)].map((m) => m[1]);
    expect(new Set(ids).size).toBe(ids.length);
    for (
      const [, id] of text.matchAll(
        /<(?:input type="(?:text|url|radio|checkbox|search)"|select) id="([^"]*)"/g,
      )
    ) {
      expect(text).toContain(`for="${id}"`);
    }
    for (const [, wanted] of text.matchAll(/aria-describedby="([^"]*)"/g)) {
      for (const id of wanted!.split(' ')) expect(ids).toContain(id);
    }
  },
);

test.each(Object.entries(gallery))(
  '%s: no inline script or style, nothing from elsewhere',
  async (_, page) => {
    const text = String(await page);
    expect(text).not.toMatch(/<style| style=| on\w+=|javascript:/);
    expect(text).not.toMatch(/(src|<link [^>]*href)="https?:/);
    expect(text.length + CSS.length + JS.length).toBeLessThan(40_000);
  },
);

test('a page reloads itself only while something is pending', async () => {
  const settled = String(await statusPage(shell, { name: 'garden', steps: [], pending: false }));
  expect(settled).not.toContain('http-equiv="refresh"');
  expect(String(await gallery['status'])).toContain('http-equiv="refresh" content="5"');
});

test('what a form holds comes back as it was typed', () => {
  const values: FormValues = {
    name: 'garden',
    plan: 'small',
    url: 'https://git.example/a',
    ref: 'main',
    path: './x',
    calendar: true,
  };
  expect(fromFields(toFields(values))).toEqual(values);
  expect(fromFields({ name: ['a', 'b'], url: { x: 1 } })).toMatchObject({
    name: '',
    url: '',
    ref: 'main',
  });
});

test('a space rewords the portal, and every mistake in its file is told', () => {
  const t = createTexts({ 'landing.start': 'Moin', 'nav.who': '{name} ist da' });
  expect(t('landing.start')).toBe('Moin');
  expect(t('nav.who', { name: 'x' })).toBe('x ist da');
  expect(t('nav.login')).toBe(ENGLISH['nav.login']);
  expect(() => createTexts({ 'nav.who': 'no hole', nope: 'x', 'nav.home': 3 }))
    .toThrow(
      /nav.who must hold \{name\}; nope is no text of the portal; nav.home must be a sentence/,
    );
});

test('sentences of the domain are reworded by the English ones, holes kept', () => {
  const t = createTexts({
    'Your membership is paid': 'Dein Beitrag ist bezahlt',
    'Your repository was read: {revision}': 'Gelesen: {revision}',
  });
  expect(t.said('Your membership is paid')).toBe('Dein Beitrag ist bezahlt');
  expect(t.said('Your repository was read: main@sha1:0a51\n')).toBe('Gelesen: main@sha1:0a51\n');
  expect(t.said('Your membership is not paid')).toBe('Your membership is not paid');
  expect(() => createTexts({ 'Your repository was read: {revision}': 'Gelesen' }))
    .toThrow(/must hold \{revision\}/);
  expect(() => createTexts({ 'page.language': 'no such' })).toThrow(/must be a language/);
});

test('every sentence that the domain says of a space is in the catalogue, and no other', async () => {
  const files = ['status', 'cluster/flux-status', 'cluster/words', 'tenant/tenant', 'tenants'];
  const sources = await Promise.all(
    [...files, 'tenant/lifecycle'].map((file) =>
      readFile(new URL(`../${file}.ts`, import.meta.url), 'utf8')
    ),
  );
  const code = sources.join('\n').replaceAll(/\$\{[\w.]+\}/g, '{}');
  for (const sentence of SAID) {
    // In the code the reason stands in a variable of its own, or the subject in another call.
    const joints = /\{\w+\}|: (?=it was used|it is taken|you have it)|^the (?:source|sync|quota): /;
    for (const part of sentence.split(joints)) {
      expect(code.includes(part.replaceAll(/^[ :]+|[ :]+$/g, '')), sentence).toBe(true);
    }
  }
  const said = [
    ...code.matchAll(/(?:text|help|why|message)(?: =|:) '((?:[^'\\]|\\.)+)'/g),
    ...sources[2]!.matchAll(/^ {4}'((?:[^'\\]|\\.)+)',$/gm),
    ...sources[3]!.matchAll(/'((?:must|is not|belongs) (?:[^'\\]|\\.)+)'/g),
  ].map((m) => m[1]!);
  expect(said.length).toBeGreaterThan(40);
  const patterns = SAID.map(patternOf);
  for (const sentence of said) {
    if (/^(is not yours to set|must (not )?be one of)/.test(sentence)) continue;
    const known = patterns.some((p) => p.test(sentence)) || SAID.some((s) => s.endsWith(sentence));
    expect(known, sentence).toBe(true);
  }
});

test('Pause is offered where something runs, Go on where it is paused, neither while suspended', async () => {
  const buttons = async (name: string) =>
    [...String(await gallery[name]).matchAll(/action="\/spaces\/garden\/(suspend|resume)"/g)]
      .map(([, path]) => path);
  expect(await buttons('space-grace')).toEqual(['suspend']);
  expect(await buttons('space-paused')).toEqual(['resume']);
  for (const name of ['space-suspended', 'space-exported', 'space-draining'] as const) {
    expect(await buttons(name), name).toEqual([]);
    expect(String(await gallery[name]), name).not.toContain('pause-hint');
  }
});

test('the log of a tenant in human words', () => {
  const t = createTexts();
  const say = (subject: string, trailers = {}) => wordsOf(t, { subject, trailers });
  expect(say('tenants: claim garden')).toBe('Asked for the space');
  expect(say('tenants: update garden', { Changed: 'path ./apps; plan large; calendar yes' }))
    .toBe('Changed the folder to ./apps, the size to large, the calendar feed to yes');
  expect(say('tenants: update garden')).toBe('Changed the settings');
  expect(say('tenants: garden is suspended', { Reason: 'the time of grace is over' }))
    .toBe('Everything was stopped: the time of grace is over');
  expect(say('tenants: render garden by the policy as it is now'))
    .toBe('The files were brought up to date with the rules');
  expect(say('written by hand <b>')).toBe('written by hand <b>');
});
