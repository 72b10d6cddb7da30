import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startGitea } from '../peers/gitea.ts';
import { needs } from '../peers/lib/needs.ts';
import { runOk } from '../peers/lib/run.ts';
import { openSandbox } from '../peers/lib/sandbox.ts';
import { startPostgres } from '../peers/postgres.ts';
import { runCronJob } from './job.ts';

// Gitea stands in for Forgejo: database and repositories lie the same way, by descent.
needs('gitea', 'postgres')('the forge’s backup by its CronJob’s own command', () => {
  test(
    'commits while it is saved, all lost, restore: whole repositories, rows and files',
    async () => {
      await using sandbox = await openSandbox('restore-forge');
      await using db = await startPostgres('forgejo');
      await using forge = await startGitea({ database: db });
      const folder = (name: string) => join(sandbox.folder, name);
      for (const each of ['secrets', 'backup']) mkdirSync(folder(each));
      writeFileSync(folder('secrets/password'), db.password);
      const job = (env: Record<string, string> = {}) =>
        runCronJob('manifests/core/forgejo.yaml', 'backup', {
          mounts: {
            '/backup': folder('backup'),
            '/data': forge.folder,
            '/secrets': folder('secrets'),
          },
          env: { PGHOST: '127.0.0.1', PGPORT: `${db.port}`, ...env },
          programs: [db.programs],
          scratch: folder('scratch'),
        });
      const { owner } = await forge.createRepository('tenants');
      const quiet = await forge.createRepository('quiet');
      const commit = async (repository: string, n: number): Promise<string> => {
        const made = await forge.call(`/repos/${owner}/${repository}/contents/file-${n}.txt`, {
          method: 'POST',
          body: { content: btoa(`text ${n} ${'x'.repeat(5_000)}`), message: `change ${n}` },
        });
        return made.commit.sha;
      };
      const last = await commit('quiet', 1);
      await forge.call(`/repos/${owner}/quiet/issues`, {
        method: 'POST',
        body: { title: 'The door squeaks', body: 'since Tuesday' },
      });

      // Somebody pushes all the while: no branch in the backup may point to what is not in it.
      const acknowledged: string[] = [];
      let saving = true;
      const pushing = (async () => {
        for (let n = 0; saving; n++) acknowledged.push(await commit('tenants', n));
      })();
      await expect.poll(() => acknowledged.length, { timeout: 30_000 }).toBeGreaterThan(3);
      const before = acknowledged.length;
      const made = await job();
      saving = false;
      await pushing;
      expect(made, made.stderr).toMatchObject({ code: 0 });
      const name = made.stdout.trim().split('\n')[0]!.split('.')[0]!;
      await forge.call(`/repos/${owner}/quiet/issues`, {
        method: 'POST',
        body: { title: 'Later' },
      });

      await forge.process.stop('SIGTERM', 20_000);
      await db.wipe();
      for (const each of readdirSync(forge.folder)) {
        rmSync(join(forge.folder, each), { recursive: true });
      }
      const restored = await job({ RESTORE: name });
      expect(restored, restored.stderr).toMatchObject({ code: 0 });
      await forge.process.start();

      const issues = await forge.call(`/repos/${owner}/quiet/issues`);
      expect(issues.map((each: { title: string }) => each.title)).toEqual(['The door squeaks']);
      expect((await forge.call(`/repos/${owner}/quiet/branches/main`)).commit.id).toBe(last);
      const bare = join(forge.folder, 'repositories', owner);
      for (const repository of readdirSync(bare)) {
        await runOk('git', ['-C', join(bare, repository), 'fsck', '--full', '--strict']);
      }
      // What was acknowledged before the backup began is in it.
      const head = (await forge.call(`/repos/${owner}/tenants/branches/main`)).commit.id;
      expect(acknowledged.indexOf(head)).toBeGreaterThanOrEqual(before - 1);
      // It takes commits again, by API and by git.
      await commit('tenants', 9_999);
      const url = new URL(quiet.cloneUrl);
      url.username = forge.admin.name;
      url.password = forge.admin.token;
      await runOk('git', ['clone', '--quiet', `${url}`, folder('clone')]);
      expect(readdirSync(folder('clone'))).toContain('file-1.txt');
    },
    400_000,
  );
});
