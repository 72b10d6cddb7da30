import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { run } from '../../tests/peers/lib/run.ts';
import { type Smtp, startSmtp } from '../../tests/peers/smtp.ts';
import { load } from './config.ts';
import { openService } from './service.ts';
import { OWNER } from './tenant/fixtures.ts';
import { COMMITTER, input, person } from './testing.ts';

// Each command as a process: what it prints, and how it ends.

const CLI = fileURLToPath(new URL('cli.ts', import.meta.url));
const PLAN = {
  title: 'Small',
  requestsCpu: '1',
  requestsMemory: '1Gi',
  limitsCpu: '2',
  limitsMemory: '2Gi',
  storage: '5Gi',
  pods: 10,
};
const POLICY = {
  plans: { small: PLAN },
  defaultPlan: 'small',
  repositories: ['https://codeberg.org'],
  lifecycle: { answers: 1 },
};

let folder: string;
let letters: Smtp;
const at = (name: string) => join(folder, name);
const write = (name: string, value: unknown) => writeFile(at(name), JSON.stringify(value));
const members = (...subs: string[]) =>
  write('members.yaml', { members: subs.map((sub) => ({ iss: OWNER.iss, sub })) });
const config = (over: Record<string, unknown> = {}) =>
  write('config.yaml', {
    publicUrl: 'https://hub.hackspace.example',
    policyFile: 'policy.yaml',
    state: at('state'),
    api: { issuer: OWNER.iss, jwksUrl: 'https://login.hackspace.example/keys', clients: ['cli'] },
    store: { kind: 'bare-git', repositoryDir: at('tenants.git') },
    membership: { kind: 'static', membersFile: 'members.yaml' },
    export: { archiveDir: at('archives') },
    ...over,
  });
const smtp = (port: number) => ({
  ...{ host: '127.0.0.1', port, security: 'none', user: 'hub', passwordFile: 'mail' },
  ...{ from: 'hub@hackspace.example', admin: 'board@hackspace.example' },
});
/** Exit code, and what was said line by line. */
async function cli(...args: string[]) {
  const { code, stdout, stderr } = await run(process.execPath, [CLI, ...args], {
    cwd: folder,
    env: { CONFIG: at('config.yaml') },
  });
  const lines = (text: string) => text.split('\n').filter(Boolean);
  return { code, stdout, out: lines(stdout), err: lines(stderr) };
}
const git = (...args: string[]) =>
  execFileSync('git', ['-C', at('tenants.git'), ...args], { encoding: 'utf8' }).trim();

async function claim(...subs: string[]) {
  const service = await openService(await load(at('config.yaml')));
  for (const sub of subs) {
    await service.tenants.claim(person(sub), input(sub), { requestId: 'request-1' });
  }
  await service.close();
}
async function byHand(files: Record<string, string>) {
  const service = await openService(await load(at('config.yaml')));
  const bytes = Object.entries(files).map(([p, t]) => [p, new TextEncoder().encode(t)] as const);
  await service.store.commit({
    author: COMMITTER,
    edit: () => ({ files: new Map(bytes), subject: 'by hand', trailers: [], result: undefined }),
  });
  await service.close();
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hackspace-cli-'));
  letters = await startSmtp({ login: { username: 'hub', password: 'letter-secret' } });
  await writeFile(at('mail'), 'letter-secret\n');
  await write('policy.yaml', POLICY);
  await members('garden', 'radio');
  await config();
});
afterEach(async () => {
  await letters.stop();
  await rm(folder, { recursive: true, force: true });
});

test('check prints the config without its secrets; what is wrong in it is told at once, exit 1', async () => {
  await config({ notify: { smtp: smtp(letters.port) } });
  const good = await cli('check');
  expect([good.code, good.err]).toEqual([0, []]);
  expect(good.out).toContain('publicUrl: https://hub.hackspace.example');
  expect(good.stdout).not.toContain('letter-secret');
  await config({ publicUrl: 'http://hub.hackspace.example', sweep: { every: 'often' } });
  const bad = await cli('check');
  expect([bad.code, bad.stdout]).toEqual([1, '']);
  expect(bad.err.join('\n')).toMatch(/publicUrl[\s\S]*sweep\.every/);
  const none = await cli('check', '--config', 'nowhere.yaml');
  expect([none.code, none.err.join('\n')]).toEqual([
    1,
    expect.stringMatching(/^provisioner: Cannot read .*nowhere\.yaml/),
  ]);
});

test('check --live asks what the config names: each line ok, or FAILED with the reason and exit 1', async () => {
  await config({ notify: { smtp: smtp(letters.port) } });
  const asked = ({ out }: { out: string[] }) => out.filter((line) => /^(ok|FAILED) /.test(line));
  const good = await cli('check', '--live');
  expect(asked(good)).toEqual([
    'ok      tenants repo: empty',
    'ok      membership: answers rightly',
    'ok      state: writable',
    'ok      archives: writable',
    'ok      login: says where its keys are',
    'ok      mail: lets us in',
  ]);
  expect(good.code).toBe(0);

  const away = 'http://127.0.0.1:9';
  await writeFile(at('mail'), 'another-secret');
  await writeFile(at('file'), '');
  await writeFile(at('members.yaml'), 'members: []');
  await writeFile(at('key'), 'k'.repeat(40));
  await config({
    api: { issuer: `${away}/realms/hackspace`, clients: ['cli'] },
    export: { archiveDir: at('file/archives') },
    notify: { smtp: smtp(letters.port) },
    cluster: { server: 'https://127.0.0.1:9', caFile: at('file'), tokenFile: 'key' },
    receiver: { url: away, secretFile: 'key' },
    icsProxy: { url: away, feed: 'space', tokenFile: 'key' },
    unsealer: { url: away },
  });
  const bad = await cli('check', '--live');
  expect(asked(bad)).toEqual([
    'ok      tenants repo: empty',
    expect.stringMatching(/^FAILED {2}membership: Cannot read the list of members /),
    'ok      state: writable',
    `FAILED  archives: Cannot write to ${at('file/archives')}: ENOTDIR: not a directory, mkdir '${
      at('file/archives')
    }'`,
    expect.stringMatching(/^FAILED {2}login: Cannot /),
    expect.stringMatching(/^FAILED {2}mail: Cannot send a letter: 535/),
    expect.stringMatching(/^FAILED {2}cluster: Cannot ask the cluster: it does not answer/),
    expect.stringMatching(/^FAILED {2}Flux: Cannot /),
    expect.stringMatching(/^FAILED {2}calendar: Cannot reach ics-proxy: it does not answer/),
    'FAILED  vault: Cannot ask the unsealer: it does not answer, or not us',
  ]);
  expect(bad.code).toBe(1);
  expect(bad.stdout + bad.err.join()).not.toMatch(/another-secret|k{40}/);
});

test('render prints what a claim would commit, and commits nothing', async () => {
  await write('tenant.yaml', input('garden'));
  const { code, stdout } = await cli('render', 'tenant.yaml', '--sub', 'garden');
  expect(code).toBe(0);
  const kinds = parseAllDocuments(stdout).map((document) => document.toJS().kind);
  expect(kinds).toContain('Namespace');
  const other = await cli(
    'render',
    'tenant.yaml',
    '--policy',
    at('policy.yaml'),
    '--config',
    'none',
  );
  expect(parseAllDocuments(other.stdout).map((document) => document.toJS().kind)).toEqual(kinds);
  await claim('garden');
  for (const [, path, text] of stdout.matchAll(/# (tenants\/\S+)\n([\s\S]*?)\n(?=---\n|$)/g)) {
    expect(`${git('show', `main:${path}`)}`, path).toBe(text!.trimEnd());
  }
  await write('tenant.yaml', input('kube-system', { plan: 'huge' }));
  const bad = await cli('render', 'tenant.yaml');
  expect([bad.code, bad.stdout]).toEqual([1, '']);
  expect(bad.err.join('\n')).toMatch(/name[\s\S]*plan/);
});

test('sweep: a dry run says what would come and writes nothing; then it comes; a breaker ends in 1', async () => {
  await claim('garden', 'radio');
  await members('radio');
  const head = git('rev-parse', 'main');
  const said = ['2 tenants: 1 paying, 1 not, 0 unknown'];
  const step = 'garden: active -> grace, the membership is not paid';
  const dry = await cli('sweep', '--dry-run');
  expect([dry.code, dry.out]).toEqual([0, [...said, step]]);
  expect(git('rev-parse', 'main')).toBe(head);
  const real = await cli('sweep');
  expect([real.code, real.out]).toEqual([0, [...said, step]]);
  expect(git('log', '-1', '--format=%s', 'main')).toBe('tenants: garden is grace');
  const again = await cli('sweep');
  expect([again.code, again.out]).toEqual([0, said]);

  await config({ sweep: { breaker: { share: 0, min: 0 } } });
  await members('garden');
  const held = await cli('sweep');
  expect(held.out.slice(1)).toEqual([
    'garden: grace -> active, the membership is paid again',
    'BREAKER OPEN: 1 would lapse at once, 0 are credible; nothing lapsed',
  ]);
  expect(held.code).toBe(1);
  const over = await cli('sweep', '--override', '1');
  expect([over.code, over.out[1]]).toEqual([0, step.replace('garden', 'radio')]);
  const word = await cli('sweep', '--override', 'all');
  expect([word.code, word.err.join()]).toEqual([1, expect.stringMatching(/whole number/)]);
});

test('sweep: a letter that does not get through is a fault, exit 1, and is sent by the next', async () => {
  await config({ notify: { smtp: smtp(letters.port) } });
  await claim('garden');
  await members('radio');
  letters.refuse(451);
  const bad = await cli('sweep');
  expect([bad.code, bad.out.at(-1)]).toEqual([1, 'FAULT garden: Cannot send a letter: 451']);
  const good = await cli('sweep');
  expect([good.code, good.out]).toEqual([0, ['1 tenants: 0 paying, 1 not, 0 unknown']]);
  expect(letters.mails.map(({ to }) => to)).toEqual([['board@hackspace.example']]);
});

test('verify names what differs and ends in 1; --write mends it', async () => {
  await claim('garden');
  const clean = ['every tenant is what the policy says'];
  const good = await cli('verify');
  expect([good.code, good.out]).toEqual([0, clean]);
  await byHand({ 'tenants/garden/resourcequota.yaml': 'kind: ResourceQuota\n' });
  const differs = 'tenants/garden/resourcequota.yaml: differs';
  const bad = await cli('verify');
  expect([bad.code, bad.out]).toEqual([1, [differs]]);
  const mended = await cli('verify', '--write');
  expect([mended.code, mended.out]).toEqual([0, [differs, 'garden: rendered again']]);
  expect((await cli('verify')).out).toEqual(clean);
});

test('import: a dry run, the adoption, and what cannot be adopted with exit 1', async () => {
  const SOURCE = (name: string) =>
    `apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: ${name}}\n` +
    `spec: {interval: 1m, url: 'https://codeberg.org/m/${name}', ref: {branch: main}}\n`;
  await byHand({ 'tenants/old/source.yaml': SOURCE('old'), 'tenants/lost/x.yaml': 'x: 1\n' });
  await write('owners.yaml', { old: OWNER });
  const head = git('rev-parse', 'main');
  const dry = await cli('import', '--owners', 'owners.yaml', '--dry-run');
  expect(dry.out).toContain('old: would be adopted');
  expect(git('rev-parse', 'main')).toBe(head);
  const real = await cli('import', '--owners', 'owners.yaml');
  expect(real.out).toContain('old: adopted');
  expect(real.out.find((line) => line.startsWith('lost: '))).toMatch(/owner/);
  expect(real.code).toBe(1);
  expect(JSON.parse(git('show', 'main:tenants/old/tenant.json')).owner).toEqual(OWNER);
  await write('owners.yaml', { old: { iss: 'x' } });
  const bad = await cli('import', '--owners', 'owners.yaml');
  expect([bad.code, bad.err.join('\n')]).toEqual([
    1,
    expect.stringMatching(/^provisioner: Cannot read owners\.yaml[\s\S]*old\.sub/),
  ]);
});
