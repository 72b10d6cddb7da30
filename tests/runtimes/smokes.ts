import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface Place {
  /** A folder of the run's own, removed afterwards. */
  folder: string;
  port: number;
  url: string;
}

/** What one service needs to start, and the small thing that shows it does its job. */
export interface Smoke {
  name: string;
  /** Writes what the config refers to, and returns the config's YAML. */
  config(place: Place): Promise<string>;
  /** Throws when the service does not do its job. */
  check(place: Place & { runtime: string }): Promise<void>;
}

const run = promisify(execFile);

const icsProxy: Smoke = {
  name: 'ics-proxy',
  async config({ folder, port, url }) {
    await writeFile(
      join(folder, 'a.ics'),
      'BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nBEGIN:VEVENT\r\nUID:a@x\r\n' +
        'DTSTAMP:20260101T000000Z\r\nDTSTART:20260101T000000Z\r\nSUMMARY:A\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n',
    );
    await writeFile(join(folder, 'admin.token'), 'a'.repeat(64), { mode: 0o600 });
    return JSON.stringify({
      listen: { port },
      publicUrl: url,
      state: join(folder, 'state'),
      admin: { tokenFile: join(folder, 'admin.token') },
      feeds: { space: { name: 'Space', sources: [{ id: 'a', url: `file://${folder}/a.ics` }] } },
    });
  },
  async check({ folder, url }) {
    const { stdout } = await run('node_modules/.bin/node', [
      'services/ics-proxy/cli.ts',
      'token',
      'create',
      '--config',
      join(folder, 'config.yaml'),
      '--feed',
      'space',
      '--label',
      'smoke',
    ]);
    const feed = stdout.trim();
    if (!feed.startsWith(`${url}/proxy/space.ics?token=`)) throw new Error('no feed URL printed');
    for (const deadline = Date.now() + 5000;;) {
      const response = await fetch(feed);
      const text = await response.text();
      if (response.status === 200 && text.includes('UID:a@x')) return;
      if (Date.now() > deadline) throw new Error(`the feed answered ${response.status}`);
      await new Promise((done) => setTimeout(done, 50));
    }
  },
};

export const smokes: Smoke[] = [icsProxy];
