// Every page with example models, for the tests of the pages; nothing in production imports it.
import QRCode from 'qrcode';
import { adminPage, errorPage } from './admin.ts';
import { checkPage, formPage } from './form.ts';
import { homePage, landingPage } from './landing.ts';
import type { Html } from './layout.ts';
import type { FormValues, Shell, SpaceModel, StatusStep } from './model.ts';
import { deletePage, historyPage, spacePage } from './space.ts';
import { statusPage } from './status.ts';
import { createTexts } from './texts.ts';

export const shell: Shell = {
  t: createTexts(),
  space: { name: 'hackspace', join: 'https://space.example/join' },
  member: { name: 'paying', admin: true },
  assets: { css: 'portal', js: 'portal' },
};
const { member: _, ...anonymous } = shell;

const values: FormValues = {
  name: 'garden',
  plan: 'small',
  url: 'https://git.example/paying/garden',
  ref: 'main',
  path: './',
  calendar: true,
};
const plans = [
  {
    id: 'small',
    title: 'Small: a calendar and a web page',
    limits: '2 CPU · 2 GiB of memory · 10 GiB on disk',
  },
  {
    id: 'large',
    title: 'Large: ask an administrator first',
    limits: '4 CPU · 8 GiB of memory · 50 GiB on disk',
  },
];
const form = { values, plans, hosts: ['https://git.example'], faults: [], kept: false };
const changes = [
  {
    sha: '5f1c0de5f1c0de',
    at: '2026-11-22T19:04:00Z',
    who: 'paying',
    text: 'Changed the folder to ./apps',
  },
  { sha: '0a51ab0a51ab0a', at: '2026-11-20T10:00:00Z', who: 'paying', text: 'Asked for the space' },
];
const steps: StatusStep[] = [
  {
    key: 'membership',
    state: 'done',
    at: '2026-11-22T19:05:00Z',
    text: 'Your membership is paid',
  },
  {
    key: 'committed',
    state: 'done',
    at: '2026-11-22T19:04:00Z',
    text: 'Committed: 5f1c0de5f1c0',
    link: { href: 'https://git.example/c/5f1c0de', text: '5f1c0de5' },
  },
  {
    key: 'fetched',
    state: 'done',
    at: '2026-11-22T19:04:01Z',
    text: 'Your repository was read: main@sha1:0a51ab0a51ab0a',
  },
  {
    key: 'applied',
    state: 'failed',
    at: '2026-11-22T19:04:03Z',
    text: 'Your files ask for more than your plan has: exceeded quota: tenant, requested: ' +
      'limits.memory=4Gi, used: limits.memory=640Mi, limited: limits.memory=2Gi',
    help: 'Lower requests, limits or sizes, remove something, or ask for a larger plan.',
  },
  { key: 'healthy', state: 'unknown', text: 'Not looked at while nothing is applied' },
];
const done: StatusStep[] = steps.map(({ key }) => ({ key, state: 'done', text: 'Done' }));
const space: SpaceModel = {
  name: 'garden',
  state: 'active',
  paused: false,
  namespace: 'tenant-garden',
  repository: { url: values.url, ref: 'main', path: './' },
  quota: [
    { name: 'limits.cpu', used: '1900m', hard: '2', percent: 95 },
    { name: 'limits.memory', used: '640Mi', hard: '2Gi', percent: 31 },
    { name: 'requests.storage', used: '1Gi', hard: '10Gi', percent: 10 },
    { name: 'count/kustomizations.kustomize.toolkit.fluxcd.io', used: '1', hard: '5', percent: 20 },
  ],
  steps: done,
  drift: [],
  changes,
  vault: 'open',
  kubectl: true,
  calendar: { wanted: true },
};
const url = `https://io.example/proxy/garden.ics?token=${'0'.repeat(64)}`;
const qr = await QRCode.toString(url, { type: 'svg', margin: 1 });
const problem = { type: 'x', title: 'x', requestId: 'b9a5c2d4-0000-4000-8000-000000000000' };
const sweep = [{ name: 'radio', to: 'suspended', why: 'the time of grace is over' }];
const diff =
  '@@ -0,0 +1,4 @@\n+apiVersion: v1\n+kind: Namespace\n+metadata:\n+  name: tenant-garden';

export const gallery: Record<string, Html> = {
  landing: landingPage(anonymous),
  home: homePage(shell, {
    membership: 'yes',
    mayAsk: true,
    spaces: [{ name: 'garden', state: 'active', repository: values.url }],
  }),
  'home-empty': homePage(shell, { membership: 'yes', mayAsk: true, spaces: [] }),
  'home-grace': homePage(shell, {
    membership: 'no',
    mayAsk: false,
    spaces: [
      { name: 'garden', state: 'grace', repository: values.url, due: '2026-12-23T00:00:00Z' },
      { name: 'radio', state: 'draining', repository: values.url },
    ],
  }),
  'home-lapsed': homePage(shell, { membership: 'no', mayAsk: false, spaces: [] }),
  'home-unknown': homePage(shell, { membership: 'unknown', mayAsk: false, spaces: [] }),
  form: formPage(shell, { ...form, membership: 'yes' }),
  'form-faults': formPage(shell, {
    ...form,
    membership: 'yes',
    values: { ...values, name: 'Garden!', url: 'http://10.0.0.1/x' },
    faults: [
      { path: 'name', message: 'must be 3 to 40 of a-z, 0-9 and "-", beginning with a letter' },
      { path: 'repository.url', message: 'must begin with https://' },
    ],
    kept: true,
  }),
  'form-unknown': formPage(shell, {
    ...form,
    membership: 'unknown',
    faults: [{
      path: '',
      message:
        'Cannot tell now whether your membership is paid: nothing is lost, try again in a minute',
    }],
  }),
  'form-edit': formPage(shell, { ...form, membership: 'yes', editing: 'garden' }),
  check: checkPage(shell, {
    values,
    planTitle: plans[0]!.title,
    namespace: 'tenant-garden',
    files: [
      { path: 'tenants/garden/namespace.yaml', kind: 'added', diff },
      { path: 'tenants/garden/resourcequota.yaml', kind: 'added', diff },
    ],
    preview: 'abc',
    stale: false,
  }),
  status: statusPage(shell, {
    name: 'garden',
    pending: true,
    steps,
  }),
  'status-done': statusPage(shell, { name: 'garden', pending: false, steps: done }),
  space: spacePage(shell, { ...space, calendar: { wanted: true, url, qr } }),
  'space-red': spacePage(shell, {
    ...space,
    steps,
    vault: 'sealed',
    calendar: { wanted: true, away: true },
    drift: ['the quota: pods is not what was committed'],
  }),
  'space-grace': spacePage(shell, { ...space, state: 'grace', due: '2026-12-23T00:00:00Z' }),
  'space-suspended': spacePage(shell, {
    ...space,
    state: 'suspended',
    due: '2027-02-21T00:00:00Z',
    admin: true,
  }),
  'space-exported': spacePage(shell, { ...space, state: 'exported', due: '2027-03-23T00:00:00Z' }),
  'space-draining': spacePage(shell, { ...space, state: 'draining', quota: [], drift: undefined }),
  'space-paused': spacePage(shell, { ...space, paused: true }),
  history: historyPage(shell, 'garden', changes),
  delete: deletePage(shell, 'garden', true),
  admin: adminPage(shell, {
    query: '',
    state: '',
    states: ['active', 'grace', 'suspended'],
    rows: [
      {
        name: 'garden',
        owner: 'a1b2c3',
        plan: 'small',
        state: 'active',
        since: '2026-11-20T10:00:00Z',
      },
      {
        name: 'radio',
        owner: 'd4e5f6',
        plan: 'large',
        state: 'grace',
        since: '2026-11-21T10:00:00Z',
      },
    ],
    total: 2,
    sweep,
    breaker: { open: true, count: 40, limit: 5 },
  }),
  'admin-none': adminPage(shell, {
    query: 'zzz',
    state: 'grace',
    states: ['active', 'grace'],
    rows: [],
    total: 0,
    sweep: [],
    breaker: { open: false, count: 0, limit: 5 },
  }),
  error: errorPage(shell, {
    ...problem,
    status: 503,
    code: 'unavailable',
    detail: 'Cannot read the member list: Keycloak does not answer',
  }),
  'error-not-found': errorPage(anonymous, {
    ...problem,
    status: 404,
    code: 'not_found',
    detail: 'Cannot find this tenant among yours',
  }),
  'error-internal': errorPage(anonymous, {
    ...problem,
    status: 500,
    code: 'internal',
    detail: 'Internal error',
  }),
};
