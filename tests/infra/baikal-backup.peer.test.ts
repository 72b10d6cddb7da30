import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startSource } from './baikal.ts';
import { needs } from '../peers/lib/needs.ts';
import { here } from '../peers/lib/here.ts';
import { findProgram, run } from '../peers/lib/run.ts';

const script = (name: string) =>
  here(import.meta, `../../manifests/tenant/baikal/image/${name}.sh`);
const event = (n: number) =>
  [
    'BEGIN:VCALENDAR',
    'VERSION:2.0',
    'PRODID:-//test//EN',
    'BEGIN:VEVENT',
    `UID:event-${n}@hackspace.test`,
    'DTSTAMP:20261101T000000Z',
    `DTSTART:202611${String(n).padStart(2, '0')}T180000Z`,
    `SUMMARY:Evening ${n}`,
    'END:VEVENT',
    'END:VCALENDAR',
    '',
  ].join('\r\n');

needs('sabre')('backup and restore of a calendar on sabre/dav, the calendar part of Baikal', () => {
  test.skipIf(!findProgram('sqlite3'))(
    'events in, backup, wipe, restore: the same events, the same feed',
    async () => {
      await using source = await startSource();
      const { folder } = source;
      const backups = join(folder, 'backups');
      mkdirSync(backups);
      await source.start();
      await source.request('MKCALENDAR', '/calendars/ada/evenings');
      for (let n = 1; n <= 20; n++) {
        await source.request('PUT', `/calendars/ada/evenings/${n}.ics`, event(n));
      }
      const before = await source.events();
      expect(before).toHaveLength(20);
      const feed = await source.feed();
      expect(feed.match(/BEGIN:VEVENT/g)).toHaveLength(20);

      // While it runs, as the CronJob does.
      const baikal = join(folder, 'baikal');
      const made = await run('sh', [script('backup'), baikal, backups, '3']);
      expect(made.stderr).toBe('');
      const backup = made.stdout.trim();
      expect(readdirSync(backups)).toEqual([backup.split('/').at(-1)]);

      await source.request('PUT', '/calendars/ada/evenings/21.ics', event(21));
      await source.stop();
      rmSync(join(baikal, 'Specific'), { recursive: true });
      rmSync(join(baikal, 'config'), { recursive: true });
      await source.start();
      expect(await source.events()).toEqual([]);
      await source.stop();

      const restored = await run('sh', [script('restore'), backup, baikal]);
      expect(restored.stdout).toContain(`restored ${backup}`);
      await source.start();
      expect(await source.events()).toEqual(before);
      expect(await source.feed()).toBe(feed);
      expect(readdirSync(join(baikal, 'Specific/db'))).toContain('db.sqlite.before-restore');
      expect(readdirSync(join(baikal, 'config'))).toEqual(['baikal.yaml']);
    },
  );

  test.skipIf(!findProgram('sqlite3'))(
    'a damaged database is neither backed up nor restored, old backups stay',
    async () => {
      await using source = await startSource();
      const baikal = join(source.folder, 'baikal');
      const backups = join(source.folder, 'backups');
      mkdirSync(backups);
      await source.start();
      await source.request('MKCALENDAR', '/calendars/ada/evenings');
      for (let n = 1; n <= 9; n++) {
        await source.request(
          'PUT',
          `/calendars/ada/evenings/${n}.ics`,
          event(n),
        );
      }
      await source.stop();
      for (const name of ['20260101T000000Z', '20260102T000000Z', '20260103T000000Z']) {
        writeFileSync(join(backups, `baikal-${name}.tar.gz`), 'old');
      }
      const good = await run('sh', [script('backup'), baikal, backups, '2']);
      expect(good.code).toBe(0);
      expect(readdirSync(backups)).toHaveLength(2);

      const db = join(baikal, 'Specific/db/db.sqlite');
      cpSync(db, `${db}.good`);
      writeFileSync(db, 'this is no database', { flag: 'r+' });
      const bad = await run('sh', [script('backup'), baikal, backups, '2']);
      expect(bad.code).not.toBe(0);
      expect(readdirSync(backups).filter((name) => name.endsWith('.part'))).toEqual([]);
      expect(readdirSync(backups)).toHaveLength(2);

      const old = join(backups, 'baikal-20260103T000000Z.tar.gz');
      const torn = await run('sh', [script('restore'), old, baikal]);
      expect(torn.code).not.toBe(0);
      expect(readdirSync(join(baikal, 'Specific/db'))).not.toContain('db.sqlite.before-restore');
    },
  );
});
