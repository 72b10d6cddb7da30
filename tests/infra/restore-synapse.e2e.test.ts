import { createHmac, randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { needs } from '../peers/lib/needs.ts';
import { ask } from '../peers/lib/http.ts';
import { openSandbox } from '../peers/lib/sandbox.ts';
import { startPostgres } from '../peers/postgres.ts';
import { runSynapse, startSynapse } from '../peers/synapse.ts';
import { documentsOf } from './documents.ts';
import { runCronJob } from './job.ts';

const manifest = 'manifests/core/synapse.yaml';

needs('synapse', 'postgres')('Synapse on Postgres, with the configuration of its manifest', () => {
  test('a message and a picture in, backup, all lost, restore: both are there', async () => {
    await using sandbox = await openSandbox('restore-synapse');
    await using db = await startPostgres('synapse');
    const port = await sandbox.port();
    const folder = (name: string) => join(sandbox.folder, name);
    for (const each of ['data', 'secrets', 'backup']) mkdirSync(folder(each));
    const secret = 'registration-of-this-test';
    writeFileSync(folder('secrets/password'), db.password);
    writeFileSync(folder('secrets/registration'), secret);
    for (const each of ['macaroon', 'oidc']) writeFileSync(folder(`secrets/${each}`), 'for-a-test');
    const key = await runSynapse('synapse._scripts.generate_signing_key');
    writeFileSync(folder('secrets/signing.key'), key);
    const shipped: string = documentsOf('manifests/core').map((e) =>
      e.document
    ).find((d) => d.kind === 'ConfigMap' && d.metadata.name === 'synapse').data['homeserver.yaml'];
    const config = folder('homeserver.yaml');
    writeFileSync(
      config,
      shipped.replaceAll(/\/(secrets|data)\//g, `${sandbox.folder}/$1/`)
        .replace('/tmp/homeserver.pid', folder('pid'))
        .replace('port: 8008', `port: ${port}`).replace(`'0.0.0.0'`, `'127.0.0.1'`)
        .replace('host: postgres,', `host: 127.0.0.1, port: ${db.port},`),
    );
    const server = await startSynapse(sandbox, config, port, { PGPASSWORD: db.password });

    let token = '';
    const call = async (method: string, path: string, body?: unknown) => {
      const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};
      const url = `http://127.0.0.1:${port}${path}`;
      const answer = await ask(url, {
        method,
        headers,
        timeoutMs: 30_000,
        ...(body === undefined ? {} : { body }),
      });
      if (answer.status !== 200) {
        throw new Error(`${method} ${path}: ${answer.text}`);
      }
      return answer.json();
    };
    const { nonce } = await call('GET', '/_synapse/admin/v1/register');
    const words = ['ada', 'a-password-of-this-test', 'notadmin'];
    const mac = createHmac('sha1', secret).update([nonce, ...words].join('\0')).digest('hex');
    const [username, password] = words;
    const body = { nonce, username, password, admin: false, mac };
    token = (await call('POST', '/_synapse/admin/v1/register', body)).access_token;
    const { room_id } = await call('POST', '/_matrix/client/v3/createRoom', { name: 'Alerts' });
    const room = `/_matrix/client/v3/rooms/${encodeURIComponent(room_id)}`;
    const say = (text: string) =>
      call('PUT', `${room}/send/m.room.message/${randomBytes(4).toString('hex')}`, {
        msgtype: 'm.text',
        body: text,
      });
    const said = async () =>
      (await call('GET', `${room}/messages?dir=b&limit=20`)).chunk
        .map((event: { content: { body?: string } }) =>
          event.content.body
        ).filter(Boolean);
    const picture = randomBytes(50_000);
    const upload = await fetch(`http://127.0.0.1:${port}/_matrix/media/v3/upload`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'image/png' },
      body: picture,
      signal: AbortSignal.timeout(30_000),
    });
    const media = `/_matrix/client/v1/media/download/${
      (await upload.json()).content_uri.replace('mxc://', '')
    }`;
    const seen = async () => {
      const answer = await fetch(`http://127.0.0.1:${port}${media}`, {
        headers: { authorization: `Bearer ${token}` },
        signal: AbortSignal.timeout(30_000),
      });
      return answer.status === 200 ? new Uint8Array(await answer.arrayBuffer()) : answer.status;
    };
    await say('the vault is sealed');
    await say('the vault is open again');

    const job = (env: Record<string, string> = {}) =>
      runCronJob(manifest, 'backup', {
        mounts: {
          '/backup': folder('backup'),
          '/data': folder('data'),
          '/secrets': folder('secrets'),
        },
        env: { PGHOST: '127.0.0.1', PGPORT: `${db.port}`, ...env },
        programs: [db.programs],
        scratch: folder('scratch'),
      });
    const made = await job();
    expect(made, made.stderr).toMatchObject({ code: 0 });
    const name = made.stdout.trim().split('\n')[0]!.split('.')[0]!;
    await say('said after the backup');

    expect((await job({ RESTORE: name })).code, 'while Synapse runs').not.toBe(0);
    await server.stop('SIGTERM', 20_000);
    await db.wipe();
    rmSync(folder('data'), { recursive: true });
    mkdirSync(folder('data'));
    const restored = await job({ RESTORE: name });
    expect(restored, restored.stderr).toMatchObject({ code: 0 });
    await server.start();
    expect(await said()).toEqual(['the vault is open again', 'the vault is sealed']);
    expect(await seen()).toEqual(new Uint8Array(picture));
    await say('and life goes on');
  }, 400_000);
});
