import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Gitea, type GiteaUser, startGitea } from './gitea.ts';
import { needs } from './lib/needs.ts';
import { runOk } from './lib/run.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');

needs('gitea')('Gitea', () => {
  let gitea: Gitea;
  let writer: GiteaUser;
  beforeAll(async () => {
    gitea = await startGitea();
    writer = await gitea.createUser('writer');
  });
  afterAll(async () => await gitea?.stop());

  const commit = (repo: string, files: Record<string, unknown>[]) =>
    gitea.api(`/repos/${gitea.admin.name}/${repo}/contents`, {
      method: 'POST',
      token: writer.token,
      body: { branch: 'main', message: 'change', files },
    });
  const create = (path: string) => ({ operation: 'create', path, content: base64(path) });
  const head = async (repo: string) =>
    (await gitea.call(`/repos/${gitea.admin.name}/${repo}/branches/main`)).commit.id;

  test('several files are one commit; one that cannot be leaves the branch where it was', async () => {
    await gitea.createRepository('tenants', [writer]);
    const made = await commit('tenants', [create('a/1.yaml'), create('a/2.yaml')]);
    expect(made.status).toBe(201);
    const before = await head('tenants');
    expect(made.json().commit.sha).toBe(before);

    const conflict = await commit('tenants', [create('a/3.yaml'), create('a/1.yaml')]);
    expect(conflict.status).toBe(422);
    expect(conflict.text).toContain('repository file already exists');
    const stale = {
      operation: 'update',
      path: 'a/1.yaml',
      content: base64('x'),
      sha: '0'.repeat(40),
    };
    expect((await commit('tenants', [stale])).text).toContain('sha does not match');
    expect(await head('tenants')).toBe(before);
  });

  test('of writers at once one wins, and the others are told so with a 403', async () => {
    await gitea.createRepository('race', [writer]);
    const paths = Array.from({ length: 6 }, (_, n) => `${n}.yaml`);
    const answers = await Promise.all(paths.map((path) => commit('race', [create(path)])));
    const won = answers.filter((answer) => answer.status === 201).length;
    expect(won).toBeGreaterThanOrEqual(1);
    expect(won).toBeLessThan(paths.length);
    for (const lost of answers.filter((answer) => answer.status !== 201)) {
      expect([403, 500]).toContain(lost.status);
      if (lost.status === 403) expect(lost.text).toContain('cannot lock ref');
    }
    const list = await gitea.call(`/repos/${gitea.admin.name}/race/contents?ref=main`);
    expect(list.filter((f: { name: string }) => f.name.endsWith('.yaml'))).toHaveLength(won);
  });

  test('who is no collaborator sees no repository; git clones with the token', async () => {
    const repository = await gitea.createRepository('private', [writer]);
    const stranger = await gitea.createUser('stranger');
    const path = `/repos/${gitea.admin.name}/private`;
    expect((await gitea.api(path, { token: stranger.token })).status).toBe(404);
    expect((await gitea.api(path, { token: '' })).status).toBe(403);
    const url = new URL(repository.cloneUrl);
    Object.assign(url, { username: writer.name, password: writer.token });
    expect(await runOk('git', ['ls-remote', url.href, 'main'])).toContain('refs/heads/main');
  });
});
