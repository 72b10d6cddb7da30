import { execFile } from 'node:child_process';
import { chownSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import versions from '../../versions.json' with { type: 'json' };
import { ROOT } from '../infra/documents.ts';
import { type Docker, startDocker } from '../peers/docker.ts';
import { importNodeBase } from '../peers/docker/node-base.ts';
import { needs } from '../peers/lib/needs.ts';
import { reservePort } from '../peers/lib/ports.ts';
import { smokes } from '../runtimes/smokes.ts';

// The recipe of the three images, built and run by a real engine as the manifests run them: a number for a
// user, nothing writable but the volumes. Where the pinned Node image is not at hand the base is a stand-in
// made here, which has no apt, so no git, so no provisioner.

const USER = 10001;
const STAND_IN = 'hackspace/node-stand-in:1.0';
const packages: Record<string, string> = { provisioner: 'git openssh-client' };
const run = promisify(execFile);

function chownAll(folder: string): void {
  chownSync(folder, USER, USER);
  for (const entry of readdirSync(folder, { recursive: true })) {
    chownSync(join(folder, String(entry)), USER, USER);
  }
}

needs('docker')('container images', () => {
  let engine: Docker;
  let base = versions.images.node;

  beforeAll(async () => {
    engine = await startDocker();
    if (await engine.docker('image', 'inspect', base).then(() => true, () => false)) return;
    base = STAND_IN;
    await importNodeBase(base, engine.docker);
    process.stderr.write(`[peers] images: ${versions.images.node} is not here, base is ${base}\n`);
  });
  afterAll(() => engine?.stop());

  test.for(smokes.map(({ name }) => name))('%s', async (name, { skip }) => {
    if (packages[name] && base === STAND_IN) {
      process.stderr.write(`[peers] SKIPPED image of ${name}: needs ${versions.images.node}\n`);
      skip(`needs ${versions.images.node}`);
    }
    const smoke = smokes.find((each) => each.name === name)!;
    const image = `hackspace/${name}:test`;
    const args = { NODE_IMAGE: base, SERVICE: name, PACKAGES: packages[name] ?? '' };
    await run('docker', [
      ...['--host', engine.host, 'build', '--network', 'host', '--quiet', '--tag', image],
      ...Object.entries(args).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]),
      ROOT,
    ], { env: { ...process.env, DOCKER_BUILDKIT: '0' } });
    const bytes = Number(
      await engine.docker('image', 'inspect', image, '--format', '{{.Size}}'),
    );
    const under = Number(await engine.docker('image', 'inspect', base, '--format', '{{.Size}}'));
    const megabytes = (size: number) => `${(size / 1e6).toFixed(0)} MB`;

    const folder = mkdtempSync(join(tmpdir(), 'hackspace-image-'));
    const container = `hackspace-image-${name}-${process.pid}`;
    try {
      const { port } = await reservePort();
      const url = `http://127.0.0.1:${port}`;
      writeFileSync(join(folder, 'config.yaml'), await smoke.config({ folder, port, url }));
      chownAll(folder);
      const started = performance.now();
      await engine.docker(
        ...['run', '--detach', '--name', container, '--network', 'host'],
        ...['--read-only', '--tmpfs', '/tmp', '--cap-drop', 'ALL'],
        ...['--security-opt', 'no-new-privileges', '--memory', '384m'],
        ...['--volume', `${folder}:${folder}`, image, '--config', join(folder, 'config.yaml')],
      );
      let health: Response | undefined;
      for (const deadline = Date.now() + 30_000; !health && Date.now() < deadline;) {
        health = await fetch(`${url}/healthz`).catch(() => undefined);
        if (!health) await new Promise((done) => setTimeout(done, 100));
      }
      if (!health) throw new Error(await engine.docker('logs', container));
      const took = performance.now() - started;
      expect(await health.json()).toEqual({ status: 'ok', service: name });
      const inside = (...command: string[]) => engine.docker('exec', container, ...command);
      expect((await inside('id', '-u')).trim()).toBe(String(USER));
      await expect(inside('mkdir', '/app/x')).rejects.toThrow(/Read-only|denied/);
      expect((await inside('ls', '/app/services')).split('\n')).toContain(name);
      // What is not this service's, nor needed to run it, is not in its image.
      const left = (await inside('ls', '/app/node_modules')).split('\n');
      expect(left).not.toContain('vitest');
      expect(left.includes('nodemailer')).toBe(name === 'provisioner');
      if (name !== 'ics-proxy') await smoke.check({ folder, port, url, runtime: 'image' });
      await engine.docker('stop', '--time', '10', container);
      const code = await engine.docker('inspect', container, '--format', '{{.State.ExitCode}}');
      expect(code.trim()).toBe('0');
      process.stderr.write(
        `[images] ${name}: ${megabytes(bytes)}, of that ${megabytes(under)} base; ` +
          `first answer ${took.toFixed(0)} ms\n`,
      );
    } finally {
      await engine.docker('rm', '--force', container).catch(() => {});
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
