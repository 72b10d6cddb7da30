/** versions.json is what people read; the recipes are what is built. They say the same. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import versions from '../../versions.json' with { type: 'json' };
import { peers } from './peers.ts';
import { requiredVersion } from './lib/go.ts';
import { here } from './lib/here.ts';
import { smtp } from './smtp.ts';

const { tools } = versions;

test.each([
  ['kubernetes/recipe', 'k8s.io/kubernetes', tools.kubernetes],
  ['kubernetes/recipe', 'go.etcd.io/etcd/server/v3', tools.etcd],
  ['flux/recipe/source', 'github.com/fluxcd/source-controller', tools['source-controller']],
  [
    'flux/recipe/kustomize',
    'github.com/fluxcd/kustomize-controller',
    tools['kustomize-controller'],
  ],
  ['flux/recipe/helm', 'github.com/fluxcd/helm-controller', tools['helm-controller']],
  [
    'flux/notification',
    'github.com/fluxcd/notification-controller',
    tools['notification-controller'],
  ],
  ['gitea/recipe', 'code.gitea.io/gitea', tools.gitea],
  ['talosctl/recipe', 'github.com/siderolabs/talos', tools.talosctl],
  ['opentofu/tofu', 'github.com/opentofu/opentofu', tools.opentofu],
  [
    'opentofu/proxmox',
    'github.com/bpg/terraform-provider-proxmox',
    tools['terraform-provider-proxmox'],
  ],
  ['kubeconform/recipe', 'github.com/yannh/kubeconform', tools.kubeconform],
  ['kustomize/recipe', 'sigs.k8s.io/kustomize/kustomize/v5', tools.kustomize],
])('%s requires %s at the version of versions.json', (folder, module, version) => {
  expect(requiredVersion(here(import.meta, `${folder}/go.mod`), module)).toBe(version);
});

test('OpenBao is pinned by the commit of its release, for its module path cannot carry the tag', () => {
  const found = requiredVersion(
    here(import.meta, 'openbao/recipe/go.mod'),
    'github.com/openbao/openbao',
  );
  expect([found, tools.openbao]).toEqual(['0.0.0-20250828202315-f9407a27fbee', '2.4.0']);
});

test('schemathesis and all it needs are pinned', () => {
  const text = readFileSync(here(import.meta, 'schemathesis/requirements.txt'), 'utf8');
  expect(text).toContain(`schemathesis==${tools.schemathesis}\n`);
  for (const line of text.trim().split('\n')) expect(line).toMatch(/^[\w-]+==\d[\w.]*$/);
});

test('the k3s image is of the minor version that is built', () => {
  const minor = tools.kubernetes.split('.').slice(0, 2).join('.');
  expect(versions.images.k3s).toContain(`:v${minor}.`);
});

test('the mail sink is the version of package.json', () => {
  expect(smtp.version).toBe(packageJson.devDependencies['smtp-server']);
});

test('every peer goes by the name it is asked for, and says how it is had', () => {
  for (const [name, peer] of Object.entries(peers)) {
    expect(peer.name).toBe(name);
    expect(peer.command).not.toBe('');
    expect(peer.had).not.toBe('');
  }
});

test('no recipe has a dependency outside of its go.sum', () => {
  const folders = readdirSync(here(import.meta, '.'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.name === 'go.mod').map((entry) => entry.parentPath);
  expect(folders.length).toBeGreaterThan(10);
  for (const folder of folders) {
    const requires = /^require|^\s+\S+ v/m.test(readFileSync(join(folder, 'go.mod'), 'utf8'));
    const sums = readdirSync(folder).includes('go.sum');
    expect([folder, sums]).toEqual([folder, requires]);
  }
});
