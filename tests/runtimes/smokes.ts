import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createAuthority } from '../peers/lib/tls.ts';
import { provisioner } from './provisioner.ts';

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

/** Nobody listens where its node should be: it holds a share, looks, and says what it sees. */
const unsealer: Smoke = {
  name: 'unsealer',
  async config({ folder, port }) {
    const authority = await createAuthority(join(folder, 'pki'), 'smoke CA');
    await writeFile(join(folder, 'kek'), randomBytes(32).toString('hex'), { mode: 0o600 });
    await writeFile(join(folder, 'wake'), 'w'.repeat(64), { mode: 0o600 });
    const config = JSON.stringify({
      listen: { port },
      state: join(folder, 'state'),
      callers: { wake: { tokenFile: join(folder, 'wake') } },
      clusters: {
        core: {
          nodes: [{ id: 'bao-0', url: 'https://127.0.0.1:1', san: 'bao-0.test' }],
          caFile: authority.certFile,
          threshold: 2,
          shares: 3,
          clusterId: '5f1c0de0-0000-4000-8000-000000000000',
          shareFiles: [join(folder, 'share.jwe')],
          keyFile: join(folder, 'kek'),
        },
      },
    });
    await writeFile(join(folder, 'config.yaml'), config);
    const child = run('node_modules/.bin/node', [
      'services/unsealer/cli.ts',
      'enroll',
      '--config',
      join(folder, 'config.yaml'),
      '--cluster',
      'core',
    ]);
    child.child.stdin!.end(randomBytes(33).toString('base64'));
    await child;
    return config;
  },
  async check({ url }) {
    const wake = (token: string) =>
      fetch(`${url}/unseal`, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
    if ((await wake('x'.repeat(64))).status !== 401) throw new Error('a stranger could wake it');
    const answer = await wake('w'.repeat(64));
    if (!answer.ok) throw new Error(`/unseal answered ${answer.status}`);
    const status = await (await fetch(`${url}/status`, { headers: { accept: 'application/json' } }))
      .json();
    if (status.open || status.nodes[0]?.state !== 'down') {
      throw new Error('it saw what is not there');
    }
  },
};

export const smokes: Smoke[] = [icsProxy, unsealer, provisioner];
