import { mkdirSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { needs } from '../peers/lib/needs.ts';
import { runOk } from '../peers/lib/run.ts';
import { type Postgres, startPostgres } from '../peers/postgres.ts';
import { containerOf, runCronJob } from './job.ts';

const keycloak = 'manifests/core/keycloak.yaml';

test('the database part of all three backups is the same', () => {
  const of = (path: string): string[] =>
    containerOf(path, 'backup').command[2].split('\n').filter((line: string) =>
      !line.includes('restored $RESTORE')
    );
  for (const path of ['manifests/core/forgejo.yaml', 'manifests/core/synapse.yaml']) {
    expect(of(path), path).toEqual(expect.arrayContaining(of(keycloak)));
  }
});

needs('postgres')('backup and restore of a database by the CronJob’s own command', () => {
  let db: Postgres;
  let folder: string;
  const backups = () => join(folder, 'backup');
  const job = (env: Record<string, string> = {}) =>
    runCronJob(keycloak, 'backup', {
      mounts: { '/backup': backups(), '/secrets': join(folder, 'secrets') },
      env: { PGHOST: '127.0.0.1', PGPORT: `${db.port}`, ...env },
      programs: [db.programs],
      scratch: folder,
    });
  const backup = async () => {
    const made = await job();
    expect(made).toMatchObject({ code: 0, stderr: '' });
    return made.stdout.trim().split('\n').at(-1)!.replace('.dump', '');
  };
  /** Schema and rows as text, without what pg_dump makes up anew each time. */
  const whole = async () => {
    const at = ['-h', '127.0.0.1', '-p', `${db.port}`, '-U', db.user, db.user];
    const env = { PGPASSWORD: db.password };
    const text = await runOk(join(db.programs, 'pg_dump'), at, { env });
    return text.replace(/^\\(un)?restrict .*$/gm, '');
  };

  beforeAll(async () => {
    db = await startPostgres('keycloak');
  });
  afterAll(() => db?.stop());
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hackspace-restore-'));
    mkdirSync(backups());
    mkdirSync(join(folder, 'secrets'));
    writeFileSync(join(folder, 'secrets/password'), db.password);
    await db.sql('drop database keycloak with (force)', 'postgres');
    await db.sql('create database keycloak', 'postgres');
    await db.sql(`
      create table realm (id serial primary key, name text unique not null, salt bytea);
      create table member (realm int references realm, name text, paid bool default false);
      create view paying as select name from member where paid;
      insert into realm (name, salt) values ('hackspace', '\\x00ff10'), ('Größe | ''quoted''', null);
      insert into member select 1, 'member ' || n, n % 3 = 0 from generate_series(1, 5000) n;
      comment on table member is 'who is who'`);
    return () => rmSync(folder, { recursive: true });
  });

  test('rows in, backup while in use, wipe, restore: the same', async () => {
    const before = await whole();
    const name = await backup();
    await db.sql(`delete from member where paid; insert into realm (name) values ('later')`);
    await db.wipe();
    expect(await whole()).not.toContain('realm');

    const restored = await job({ RESTORE: name });
    expect(restored.stdout).toContain(`restored ${name}; what was there is the database before-`);
    expect(await whole()).toBe(before);
    // Sequences go on where they were.
    expect(await db.sql(`insert into realm (name) values ('next') returning id`)).toMatch(/^3\b/);
    const names = (await db.sql('select datname from pg_database')).split('\n');
    expect(names.filter((each) => each.startsWith('new-'))).toEqual([]);
    expect(names.filter((each) => each.startsWith('before-'))).toHaveLength(1);
    process.stdout.write(`PostgreSQL ${db.version} of the system, manifests pin another major\n`);
  });

  test('while somebody is connected nothing is restored, and nothing lost', async () => {
    const name = await backup();
    await db.sql('delete from member');
    const connected = db.sql('select pg_sleep(60)').catch(() => 'ended');
    const sleeping = `from pg_stat_activity where query = 'select pg_sleep(60)'`;
    await expect.poll(() => db.sql(`select count(*) ${sleeping}`)).toBe('1');
    const refused = await job({ RESTORE: name });
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('is being accessed by other users');
    expect(await db.sql('select count(*) from member')).toBe('0');
    expect(await db.sql(`select count(*) from pg_database where datname ~ '^new-'`))
      .toBe('0');
    await db.sql(`select pg_terminate_backend(pid) ${sleeping}`);
    expect(await connected).toBe('ended');
  });

  test('a torn backup is refused before anything is touched', async () => {
    const name = await backup();
    const file = join(backups(), `${name}.dump`);
    truncateSync(file, statSync(file).size - 200);
    const before = await whole();
    const refused = await job({ RESTORE: name });
    expect(refused.code).not.toBe(0);
    expect(await whole()).toBe(before);
    expect((await job({ RESTORE: '20200101T000000Z' })).code).not.toBe(0);
  });

  test('an unreachable database leaves no backup behind; of good ones fourteen stay', async () => {
    for (let day = 10; day < 30; day++) {
      writeFileSync(join(backups(), `202601${day}T020700Z.dump`), 'old');
      writeFileSync(join(backups(), `202601${day}T020700Z.files.tar.gz`), 'old');
    }
    await backup();
    const dumps = () => readdirSync(backups()).filter((each) => each.endsWith('.dump'));
    expect(dumps()).toHaveLength(14);
    expect(readdirSync(backups())).toHaveLength(27);
    expect(dumps()).toContain('20260129T020700Z.dump');
    expect(dumps()).not.toContain('20260116T020700Z.dump');
    const failed = await job({ PGPORT: '1' });
    expect(failed.code).not.toBe(0);
    expect(dumps().filter((each) => !each.startsWith('.'))).toHaveLength(14);
    expect(readFileSync(join(backups(), '20260129T020700Z.dump'), 'utf8')).toBe('old');
  });
});
