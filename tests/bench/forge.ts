/** Claims through the contents API of a real Gitea: one provisioner, and three that race for the branch. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { forgejo } from '../../services/provisioner/store/forgejo.ts';
import { COMMITTER } from '../../services/provisioner/testing.ts';
import { verify } from '../../services/provisioner/verify.ts';
import { gitea, startGitea } from '../peers/gitea.ts';
import { claim, type Note, open, policy, type Report, sayer, timed } from './tenants.ts';

export async function bench(report: Report, note: Note, quick: boolean): Promise<void> {
  if (gitea.missing()) return note(`Gitea left out: ${gitea.missing()}; ${gitea.command}`);
  const say = sayer('forge', report, note);
  const folder = mkdtempSync(join(tmpdir(), 'bench-forge-'));
  const server = await startGitea();
  try {
    const bot = await server.createUser('bench-bot');
    const { owner, name } = await server.createRepository('tenants', [bot]);
    writeFileSync(join(folder, 'token'), bot.token, { mode: 0o600 });
    const options = {
      url: server.url,
      owner,
      repo: name,
      branch: 'main',
      committer: COMMITTER,
      tokenFile: join(folder, 'token'),
    };
    const { store, tenants } = open(await forgejo(options));
    const n = quick ? 3 : 15;
    const { ms } = await timed(() =>
      Promise.all(Array.from({ length: n }, (_, i) => claim(tenants, `g${i}x`)))
    );
    if ((await verify(await store.snapshot(), policy)).length) throw new Error('wrong answer');
    await store.close();
    // The measured rate of bare calls by 3 writers that retry, each for itself.
    const naive = open(await forgejo(options));
    const others = await Promise.all([1, 2].map(async () => open(await forgejo(options))));
    const raced = await timed(() =>
      Promise.all(
        Array.from({ length: n }, (_, i) => claim([naive, ...others][i % 3]!.tenants, `h${i}x`)),
      )
    );
    for (const each of [naive, ...others]) await each.store.close();
    say(
      `${n} members at once, Gitea`,
      n / ms * 1000,
      '3 replicas racing',
      n / raced.ms * 1000,
      'tenants/s',
      'more',
    );
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
