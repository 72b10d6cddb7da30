/** The patches of talos/ against Talos' own generator and validation, with throw-away secrets. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { readSite, type Site } from '../../infra/site.ts';
import { leaksIn, secretValues } from '../../talos/leaks.ts';
import { newSecrets, render } from '../../talos/render.ts';
import { seal } from '../../talos/sealed.ts';
import { type Talosctl, talosctlAt } from '../../talos/talosctl.ts';
import { run } from '../peers/lib/run.ts';
import { needs } from '../peers/lib/needs.ts';
import { openSandbox } from '../peers/lib/sandbox.ts';
import { talosctl } from '../peers/talosctl.ts';
import { documentsOf } from './documents.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = join(root, 'talos');
const invalid = join(folder, 'invalid');

needs('talosctl')('talos/', () => {
  let sandbox: Awaited<ReturnType<typeof openSandbox>>;
  let ctl: Talosctl, site: Site, secrets: string, out: string;

  beforeAll(async () => {
    sandbox = await openSandbox('talos');
    ctl = talosctlAt(talosctl().path);
    site = await readSite(join(root, 'site.example.yaml'));
    secrets = await newSecrets(ctl, site['member-prod'].talos);
    out = join(sandbox.folder, 'rendered');
  });
  afterAll(() => sandbox?.[Symbol.asyncDispose]());

  test('every node of the site renders and passes strict validation, in both modes it may boot in', async () => {
    const nodes = await render({ site, folder, secrets, out, talosctl: ctl });
    expect(nodes.toSorted()).toEqual(Object.keys(site['member-prod'].nodes).toSorted());
    for (const node of nodes) {
      for (const mode of ['metal', 'cloud']) {
        const said = await ctl([
          'validate',
          '-c',
          join(out, `${node}.yaml`),
          '-m',
          mode,
          '--strict',
        ], 'validate');
        expect(said).toContain(`is valid for ${mode} mode`);
      }
    }
  });

  test('a rendered node says what its patches say', () => {
    const documents = parseAllDocuments(readFileSync(join(out, 'cp-2.yaml'), 'utf8')).map((d) =>
      d.toJS()
    );
    const of = (kind: string) => documents.find((document) => document.kind === kind);
    expect(documents[0].machine.type).toBe('controlplane');
    expect(of('HostnameConfig').hostname).toBe('cp-2');
    expect(of('LinkConfig').addresses).toEqual([{ address: '10.20.0.36/27' }]);
    expect(of('Layer2VIPConfig')).toMatchObject({ name: '10.20.0.34', link: 'lan' });
    expect(of('UnattendedInstallConfig').provisioning.diskSelector.match).toBe(
      "disk.serial == 'talos-system'",
    );
    expect(of('KubeFlannelCNIConfig')).toBeUndefined();
    expect(of('KubeProxyConfig')).toBeUndefined();
    expect(of('KubePrismConfig').port).toBe(7445); // Cilium's k8sServicePort
    const worker = readFileSync(join(out, 'worker-1.yaml'), 'utf8');
    expect(worker).not.toMatch(/kind: (Layer2VIPConfig|KubeAPIServerConfig)/);
  });

  test('its tokens name the issuer that the vault is told to believe', () => {
    const [rendered] = readFileSync(join(out, 'cp-1.yaml'), 'utf8').match(/issuerURL: .*/)!;
    const { bridges } = parse(
      documentsOf('manifests/services').map(({ document }) => document)
        .find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'unsealer')!
        .data['config.yaml'],
    );
    expect(rendered).toBe(`issuerURL: ${bridges['member-prod'].jwt.issuer}`);
  });

  test('talosconfig points at the control planes, and all of it is its owner’s alone', () => {
    const config = parse(readFileSync(join(out, 'talosconfig'), 'utf8'));
    expect(config.contexts['member-prod'].endpoints).toEqual([
      '10.20.0.35',
      '10.20.0.36',
      '10.20.0.37',
    ]);
    for (const name of readdirSync(out)) expect(statSync(join(out, name)).mode & 0o777).toBe(0o600);
    expect(statSync(out).mode & 0o777).toBe(0o700);
  });

  test('the same secrets give the same bytes', async () => {
    const again = join(sandbox.folder, 'again');
    await render({ site, folder, secrets, out: again, talosctl: ctl });
    for (const name of readdirSync(out).filter((file) => file.endsWith('.yaml'))) {
      expect(readFileSync(join(again, name), 'utf8'), name).toBe(
        readFileSync(join(out, name), 'utf8'),
      );
    }
  });

  describe('named invalid patches', () => {
    const cases = readdirSync(invalid).map((file) => {
      const text = readFileSync(join(invalid, file), 'utf8');
      const [, by, words] = /^# refused by (patch|validate): (.*)$/m.exec(text)!;
      return {
        name: file.replace('.yaml', ''),
        file,
        by,
        words: words!,
        on: /^# on: worker$/m.test(text) ? 'worker-1' : 'cp-1',
      };
    });
    test.each(cases)('$name is refused by $by', async ({ file, by, words, on }) => {
      const target = join(sandbox.folder, file);
      const base = join(out, `${on}.yaml`);
      const patched = talosctl().run([
        'machineconfig',
        'patch',
        base,
        '--patch',
        `@${join(invalid, file)}`,
        '-o',
        target,
      ]);
      if (by === 'patch') {
        expect(await patched).toMatchObject({ code: 1, stderr: expect.stringContaining(words) });
        return;
      }
      expect(await patched).toMatchObject({ code: 0 });
      const judged = await talosctl().run(['validate', '-c', target, '-m', 'metal', '--strict']);
      expect(judged).toMatchObject({ code: 1, stderr: expect.stringContaining(words) });
    });
  });

  test('a node whose patch is refused leaves nothing behind', async () => {
    const copy = join(sandbox.folder, 'copy');
    for (
      const part of [
        'patches/all',
        'patches/controlplane',
        'patches/worker',
        'nodes/worker',
        'nodes/controlplane',
      ]
    ) {
      mkdirSync(join(copy, part), { recursive: true });
    }
    writeFileSync(
      join(copy, 'nodes/controlplane/bad.yaml'),
      readFileSync(join(invalid, 'misspelt-key.yaml')),
    );
    const to = join(sandbox.folder, 'never');
    await expect(render({ site, folder: copy, secrets, out: to, talosctl: ctl })).rejects.toThrow(
      /^Cannot patch bad: talosctl says [^]*unknown keys/,
    );
    expect(() => statSync(to)).toThrow('ENOENT');
  });

  describe('the command', () => {
    const cli = (args: string[]) =>
      run(process.execPath, [join(folder, 'cli.ts'), ...args], {
        cwd: root,
        env: { TALOSCTL: talosctl().path },
      });

    test('makes an identity and sealed secrets, renders from them, and finds none of them in git', async () => {
      const [key, sealed, to] = ['age.key', 'talos.age', 'configs'].map((name) =>
        join(sandbox.folder, name)
      ) as [string, string, string];
      const recipient = (await cli(['identity', '--out', key])).stdout.trim();
      const sealing = await cli(['new-secrets', '--recipient', recipient, '--out', sealed]);
      expect(sealing).toMatchObject({ code: 0 });
      expect(leaksIn(readFileSync(sealed, 'utf8'), [])).toEqual([]);
      const again = await cli(['new-secrets', '--recipient', recipient, '--out', sealed]);
      expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('it exists') });
      const rendering = await cli(['render', '--secrets', sealed, '--identity', key, '--out', to]);
      expect(rendering.stdout.match(/: valid$/gm)).toHaveLength(5);
      const checking = await cli(['check', '--secrets', sealed, '--identity', key]);
      expect(checking).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('is in the work tree'),
      });
      const inside = await cli([
        'render',
        '--secrets',
        sealed,
        '--identity',
        key,
        '--out',
        join(root, 'configs'),
      ]);
      expect(inside).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('inside the git work tree'),
      });
    });

    test('finds a rendered config that was put into a git tree', async () => {
      const tree = join(sandbox.folder, 'tree');
      mkdirSync(tree);
      await run('git', ['init', '--quiet', tree]);
      writeFileSync(join(tree, 'cp-1.yaml'), readFileSync(join(out, 'cp-1.yaml')));
      const identity = await generateX25519Identity();
      const [key, sealed] = [join(sandbox.folder, 'k'), join(sandbox.folder, 's')];
      writeFileSync(key, identity);
      await seal(secrets, [await identityToRecipient(identity)], sealed);
      const found = await run(process.execPath, [
        join(folder, 'cli.ts'),
        'check',
        '--secrets',
        sealed,
        '--identity',
        key,
      ], { cwd: tree });
      expect(found.code).toBe(1);
      expect(found.stdout).toContain("cp-1.yaml: a value of this cluster's secrets");
      for (const value of secretValues(secrets)) expect(found.stdout).not.toContain(value);
    });
  });
});
