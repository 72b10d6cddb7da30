// Every page with example models, for the tests of the pages; nothing in production imports it.
import { adminPage, errorPage } from './admin.ts';
import { checkPage, formPage } from './form.ts';
import { homePage, landingPage } from './landing.ts';
import type { Html } from './layout.ts';
import type { FormValues, Shell, SpaceModel } from './model.ts';
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
    limits: '2 CPUs, 2 GiB, 10 GiB on disk',
  },
  {
    id: 'large',
    title: 'Large: ask an administrator first',
    limits: '4 CPUs, 8 GiB, 50 GiB on disk',
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
const space: SpaceModel = {
  name: 'garden',
  state: 'active',
  paused: false,
  namespace: 'tenant-garden',
  repository: { url: values.url, ref: 'main', path: './' },
  quota: [
    { name: 'Memory', used: '640Mi', hard: '2Gi', percent: 31 },
    { name: 'CPU', used: '1900m', hard: '2', percent: 95 },
    { name: 'Disk', used: '1Gi', hard: '10Gi', percent: 10 },
  ],
  drift: [],
  changes,
  vault: 'open',
  kubectl: true,
  calendar: { wanted: true, url: `https://io.example/proxy/garden.ics?token=${'0'.repeat(64)}` },
};
const diff =
  '@@ -0,0 +1,4 @@\n+apiVersion: v1\n+kind: Namespace\n+metadata:\n+  name: tenant-garden';

export const gallery: Record<string, Html> = {
  landing: landingPage(anonymous),
  home: homePage(shell, {
    membership: 'yes',
    mayAsk: true,
    spaces: [{ name: 'garden', state: 'active', repository: values.url }],
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
    steps: [
      { key: 'membership', state: 'done', text: 'Your membership is paid.' },
      {
        key: 'committed',
        state: 'done',
        at: '2026-11-22T19:04:00Z',
        text: 'Your answers are in the tenants repository.',
        link: { href: 'https://git.example/c/5f1c0de', text: '5f1c0de5' },
      },
      {
        key: 'fetched',
        state: 'done',
        at: '2026-11-22T19:04:01Z',
        text: 'Flux has read your repository.',
      },
      {
        key: 'applied',
        state: 'failed',
        at: '2026-11-22T19:04:03Z',
        text: 'The cluster refused Deployment/web: it asks for more memory than the space has.',
        help: 'Ask for less memory in your Deployment, or choose a larger size.',
      },
      { key: 'healthy', state: 'pending', text: 'Waits for the step before.' },
    ],
  }),
  space: spacePage(shell, space),
  'space-grace': spacePage(shell, {
    ...space,
    state: 'grace',
    due: '2026-12-23T00:00:00Z',
    vault: 'sealed',
    drift: ['Deployment/web was deleted by hand'],
  }),
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
    sweep: [{ name: 'radio', to: 'suspended', why: 'the time of grace is over' }],
    breaker: { open: true, count: 40, limit: 5 },
  }),
  error: errorPage(shell, {
    type: 'x',
    title: 'Not available now',
    status: 503,
    code: 'unavailable',
    detail: 'Cannot read the member list: Keycloak does not answer',
    requestId: 'b9a5c2d4-0000-4000-8000-000000000000',
  }),
};
