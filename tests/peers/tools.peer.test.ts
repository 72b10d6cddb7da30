/** The programs that only run and end: each does one thing that only it can do. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { kubeconform } from './kubeconform.ts';
import { kustomize } from './kustomize.ts';
import { findProgram } from './lib/run.ts';
import { needs } from './lib/needs.ts';
import { openSandbox } from './lib/sandbox.ts';
import { startTofu } from './opentofu.ts';
import { talosctl } from './talosctl.ts';

needs('talosctl')('talosctl', () => {
  test('validates what it generated and refuses a document that Talos cannot mean', async () => {
    await using sandbox = await openSandbox('talosctl');
    const cwd = sandbox.folder;
    const talos = talosctl();
    await talos.ok(['gen', 'secrets', '-o', 'secrets.yaml'], { cwd });
    const with_ = ['--with-secrets', 'secrets.yaml', '--with-docs=false', '--with-examples=false'];
    await talos.ok(['gen', 'config', 'test', 'https://10.0.0.10:6443', ...with_, '-o', 'out'], {
      cwd,
    });
    const validate = (file: string) =>
      talos.run(['validate', '-c', file, '-m', 'metal', '--strict'], { cwd });
    const good = await validate('out/controlplane.yaml');
    expect(good).toMatchObject({ code: 0 });
    expect(good.stdout).toContain('is valid for metal mode');

    writeFileSync(
      join(cwd, 'vip.yaml'),
      'apiVersion: v1alpha1\nkind: Layer2VIPConfig\nname: 10.0.0.10\n',
    );
    const patch = [
      'machineconfig',
      'patch',
      'out/controlplane.yaml',
      '--patch',
      '@vip.yaml',
      '-o',
      'bad.yaml',
    ];
    await talos.ok(patch, { cwd });
    const bad = await validate('bad.yaml');
    expect(bad.code).toBe(1);
    expect(bad.stderr).toContain('link must be specified');

    writeFileSync(join(cwd, 'typo.yaml'), 'machine: {kubelett: {}}\n');
    const typo = [...patch.slice(0, 4), '@typo.yaml', '-o', 'typo-out.yaml'];
    const refused = await talos.run(typo, { cwd });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('unknown keys found during decoding');
  });
});

const virtualMachine = (cpu: Record<string, unknown>) => ({
  terraform: { required_providers: { proxmox: { source: 'bpg/proxmox' } } },
  provider: { proxmox: {} },
  resource: {
    proxmox_virtual_environment_vm: {
      node: { name: 'n', node_name: 'pve', vm_id: 101, cpu: [cpu], memory: [{ dedicated: 2048 }] },
    },
  },
});

const planTest = (id: number) => ({
  mock_provider: { proxmox: {} },
  run: {
    plan: {
      command: 'plan',
      assert: [{
        condition: `\${proxmox_virtual_environment_vm.node.vm_id == ${id}}`,
        error_message: 'another vm_id',
      }],
    },
  },
});
for (const name of ['opentofu', 'terraform'] as const) {
  needs('opentofu', name)(`${name} with bpg/proxmox`, () => {
    test('plans with a mocked provider, and knows the real schema', async () => {
      const program = name === 'terraform' && findProgram(name);
      await using tofu = await startTofu(program ? { program } : {});
      await using sandbox = await openSandbox('plan');
      const folder = sandbox.folder;
      const write = (file: string, content: unknown) =>
        writeFileSync(join(folder, file), JSON.stringify(content));
      mkdirSync(join(folder, 'tests'));
      write('main.tf.json', virtualMachine({ cores: 2 }));
      write('tests/plan.tftest.json', planTest(101));
      await tofu.ok(folder, ['init', '-input=false']);
      expect(await tofu.ok(folder, ['validate'])).toContain('The configuration is valid');
      expect(await tofu.ok(folder, ['test'])).toContain('1 passed, 0 failed');

      write('tests/plan.tftest.json', planTest(102));
      const failed = await tofu.run(folder, ['test']);
      expect(failed.code).toBe(1);
      expect(failed.stderr + failed.stdout).toContain('another vm_id');

      write('main.tf.json', virtualMachine({ corez: 2 }));
      const refused = await tofu.run(folder, ['validate', '-no-color']);
      expect(refused.code).toBe(1);
      expect(refused.stderr + refused.stdout).toContain(
        'No argument or block type is named "corez"',
      );
    });
  });
}

needs('kustomize')('kustomize', () => {
  test('builds a strategic merge over a base, and says which patch has no target', async () => {
    await using sandbox = await openSandbox('kustomize');
    const cwd = sandbox.folder;
    const write = (name: string, text: string) => writeFileSync(join(cwd, name), text);
    write(
      'cm.yaml',
      'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {first: "1", second: "2"}\n',
    );
    write('p.yaml', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {first: "3"}\n');
    write('kustomization.yaml', 'resources: [cm.yaml]\nnamespace: t\npatches: [{path: p.yaml}]\n');
    const built = await kustomize().ok(['build', '.'], { cwd });
    expect(built).toMatch(/first: "3"\n\s+second: "2"/);
    expect(built).toContain('namespace: t');
    write('p.yaml', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n');
    const refused = await kustomize().run(['build', '.'], { cwd });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('no matches for Id ConfigMap');
    expect(await kustomize().ok(['version'])).toContain('v5.8.1');
  });
});

needs('kubeconform')('kubeconform', () => {
  test('counts every fault of a document against a schema, and a kind without one as an error', async () => {
    await using sandbox = await openSandbox('kubeconform');
    const cwd = sandbox.folder;
    const schema = {
      type: 'object',
      additionalProperties: false,
      properties: {
        apiVersion: { type: 'string' },
        kind: { type: 'string' },
        metadata: { type: 'object' },
        spec: {
          type: 'object',
          additionalProperties: false,
          properties: { size: { type: 'integer' } },
        },
      },
    };
    writeFileSync(join(cwd, 'widget_v1.peers.test.json'), JSON.stringify(schema));
    const location = '{{.ResourceKind}}_{{.ResourceAPIVersion}}.{{.Group}}.json';
    const conform = (kind: string, spec: unknown) =>
      kubeconform().run(['-strict', '-output', 'json', '-schema-location', location, '-'], {
        cwd,
        stdin: JSON.stringify({ apiVersion: 'peers.test/v1', kind, metadata: { name: 'w' }, spec }),
      });
    expect((await conform('Widget', { size: 1 })).code).toBe(0);
    const bad = await conform('Widget', { size: 'big', sise: 1 });
    expect(bad.code).toBe(1);
    expect(bad.stdout).toContain('got string, want integer');
    expect(bad.stdout).toContain("additional properties 'sise' not allowed");
    const unknown = await conform('Wodget', {});
    expect(unknown.code).toBe(1);
    expect(unknown.stdout).toContain('could not find schema for Wodget');
  });
});
