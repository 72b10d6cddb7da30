import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { disagreements } from './agreement.ts';
import { subnetOf } from './claims.ts';
import { readClaims } from './read.ts';
import { siteFile } from './site.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const parts = [
  'site.example.yaml',
  'terraform-json',
  'talos',
  'preseed',
  'manifests',
  'flux',
  'versions.json',
];
let copy: string;

beforeAll(async () => {
  copy = await mkdtemp(join(tmpdir(), 'site-'));
  for (const part of parts) await cp(join(root, part), join(copy, part), { recursive: true });
});
afterAll(() => rm(copy, { recursive: true }));

/** What the check says of the checkout with `from` made `to` in one file. */
async function afterChange(file: string, from: string | RegExp, to: string): Promise<string[]> {
  const path = join(copy, file);
  const before = await readFile(path, 'utf8');
  const after = before.replace(from, to);
  expect(after, `${file} holds ${from}`).not.toBe(before);
  await writeFile(path, after);
  try {
    return disagreements(await readClaims(join(copy, 'site.example.yaml'), copy));
  } finally {
    await writeFile(path, before);
  }
}

test('the raw files agree with the example site', async () => {
  const claims = await readClaims(join(root, 'site.example.yaml'), root);
  expect(disagreements(claims)).toEqual([]);
  expect(new Set(claims.map(({ kind }) => kind))).toEqual(
    new Set(['site', 'tfvars', 'talos', 'preseed', 'dns', 'policy', 'services', 'versions']),
  );
});

describe('a change in one place names every other place', () => {
  const site = 'site.example.yaml';
  const tfvars = 'terraform-json/site.auto.tfvars.json';
  const zone = 'manifests/core/dns.yaml';
  test.each([
    ['a node in the site', site, 'address: 10.20.0.36', 'address: 10.20.0.44', [
      /^cp-2 address: .*10\.20\.0\.44 in site\.example\.yaml/,
      tfvars,
      'talos/nodes/controlplane/cp-2.yaml',
      zone,
    ]],
    ['a node in Talos', 'talos/nodes/worker/worker-1.yaml', '10.20.0.40', '10.20.0.45', [
      /^worker-1 address: /,
      '10.20.0.45 in talos/nodes/worker/worker-1.yaml',
      '10.20.0.40 in site.example.yaml',
      tfvars,
      zone,
    ]],
    ['a node in tfvars', tfvars, '"address": "10.20.0.37"', '"address": "10.20.0.38"', [
      /^cp-3 address: /,
      '10.20.0.38 in terraform-json',
      'talos/nodes/controlplane/cp-3.yaml',
      zone,
    ]],
    ['the shared address', 'talos/patches/controlplane/10-vip.yaml', '10.20.0.34', '10.20.0.43', [
      /^member-prod address: /,
      `${tfvars} (member_vip)`,
      zone,
      '10.20.0.34 in manifests/services/unsealer.yaml',
      site,
    ]],
    ['the endpoint in DNS', zone, 'member-prod A   10.20.0.34', 'member-prod A   10.20.0.43', [
      /^member-prod address: /,
      'talos/patches/controlplane/10-vip.yaml',
    ]],
    ['a hypervisor in the installer', 'preseed/hosts.tsv', '10.20.0.72/27', '10.20.0.82/27', [
      /^pve2 address: /,
      tfvars,
      zone,
      site,
    ]],
    ['the API that a service calls', 'manifests/services/provisioner.yaml', '10.20.0.34', 'api', [
      /^member-prod address: /,
      'api in manifests/services/provisioner.yaml (config.yaml)',
    ]],
    ['the schematic', 'talos/schematic.yaml', 'qemu-guest-agent', 'iscsi-tools', [
      /^talos schematic: /,
      'talos/patches/all/10-install.yaml',
      tfvars,
    ]],
    [
      'the API as pods see it',
      'flux/clusters/member-prod/flux-instance.yaml',
      ',10.96.0.1',
      ',10.43.0.1',
      [/^member-prod API inside: /, '10.96.0.1 in site.example.yaml'],
    ],
    ['the release', 'versions.json', /"talosctl": "[^"]+"/, '"talosctl": "1.13.0"', [
      /^talos version: /,
      'talos/patches/all/10-install.yaml',
    ]],
  ])('%s', async (_, file, from, to, expected) => {
    const lines = await afterChange(file, from, to);
    expect(lines).toHaveLength(1);
    for (const part of expected) expect(lines[0]).toMatch(part);
  });

  test('the services’ subnet: in Talos, and in what Flux may reach', async () => {
    const cni = 'talos/patches/controlplane/30-cni.yaml';
    const other = 'kind: KubeNetworkConfig\nserviceSubnets: [10.112.0.0/12]\n---\napiVersion';
    expect(await afterChange(cni, 'apiVersion', other)).toEqual([
      expect.stringMatching(/^member-prod services: .*10\.112\.0\.0\/12 in talos /),
    ]);
    const lines = await afterChange(site, '10.96.0.0/12', '10.112.0.0/12');
    expect(lines.map((line) => line.split(':')[0])).toEqual([
      'member-prod services',
      'member-prod API inside',
    ]);
  });

  test('a subnet too: of a node moved to another one', async () => {
    const lines = await afterChange(
      'talos/nodes/worker/worker-1.yaml',
      '10.20.0.40/27',
      '10.20.0.99/27',
    );
    expect(lines.map((line) => line.split(':')[0])).toEqual([
      'vlan members subnet',
      'worker-1 address',
    ]);
  });
});

test('a node that only one file knows is named', async () => {
  const gone = await afterChange(
    'site.example.yaml',
    / {4}worker-2: .*\n/,
    '',
  );
  expect(gone).toContainEqual(
    expect.stringMatching(
      /^worker-2 address: unknown to the site, but 10\.20\.0\.41 in terraform/,
    ),
  );
  const missing = await afterChange('manifests/core/dns.yaml', / +cp-1 .*\n/, '');
  expect(missing).toEqual([expect.stringMatching(/^cp-1 address: .* but nowhere in dns$/)]);
});

test('a checkout with a site.yaml is that site', async () => {
  expect(siteFile(copy)).toBe(join(copy, 'site.example.yaml'));
  const own = join(copy, 'site.yaml');
  await writeFile(own, '');
  expect(siteFile(copy)).toBe(own);
  await rm(own);
});

test('the page prints what the check prints', async () => {
  const { length } = await readClaims(join(root, 'site.example.yaml'), root);
  const page = await readFile(join(root, 'docs/bare-metal-to-feed.md'), 'utf8');
  expect(page).toContain(`#> ${length} statements about the site agree`);
});

test('a site file with faults says all of them', async () => {
  const file = join(copy, 'faulty.yaml');
  const good = await readFile(join(root, 'site.example.yaml'), 'utf8');
  await writeFile(file, good.replace('10.20.0.35', '10.20.0.300').replace('vm: 3012', 'vm: 1'));
  await expect(readClaims(file, copy)).rejects.toThrow(
    /member-prod\.nodes\.cp-1\.address: .*member-prod\.nodes\.cp-2\.vm: /,
  );
});

test.each([
  ['10.20.0.40', 27, '10.20.0.32/27'],
  ['192.168.255.255', 17, '192.168.128.0/17'],
  ['255.255.255.255', 32, '255.255.255.255/32'],
  ['10.1.2.3', 0, '0.0.0.0/0'],
])('%s/%d lies in %s', (address, prefix, subnet) => {
  expect(subnetOf(address, prefix)).toBe(subnet);
});

describe('names that two tools have to share', () => {
  const file = (path: string) => readFile(join(root, path), 'utf8');

  test('the bridge of late.sh is the one that Terraform puts guests on', async () => {
    const { bridge } = JSON.parse(await file('terraform-json/variables.tf.json')).variable;
    expect(await file('preseed/late.sh')).toContain(`\nauto ${bridge.default}\n`);
  });

  test('Talos installs on the disk by the serial that Terraform gives it', async () => {
    const { member } = JSON.parse(await file('terraform-json/member-prod.tf.json'))
      .resource.proxmox_virtual_environment_vm;
    expect(await file('talos/patches/all/10-install.yaml')).toContain(
      `match: disk.serial == '${member.disk[0].serial}'`,
    );
  });

  test('Cilium replaces what Talos leaves out', async () => {
    const cilium = await file('flux/infra/controllers/10-cilium.yaml');
    const cni = await file('talos/patches/controlplane/30-cni.yaml');
    expect(cilium).toContain('kubeProxyReplacement: true');
    expect(cilium).toContain('k8sServicePort: 7445');
    expect(cni).toMatch(/kind: KubeFlannelCNIConfig\n\$patch: delete/);
    expect(cni).toMatch(/kind: KubeProxyConfig\n\$patch: delete/);
  });

  test('the volume group of the installer is the one that the first boot fills', async () => {
    expect(await file('preseed/hypervisor.cfg')).toContain(
      'partman-auto-lvm/new_vg_name string pve\n',
    );
    expect(await file('preseed/proxmox-install')).toContain('--vgname pve --thinpool data');
  });
});
