/** The facts of one site (site.yaml, before there is one site.example.yaml), checked. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@hackspace/kit/errors.ts';
import { parse } from 'yaml';
import * as z from 'zod';

const mac = z.string().regex(
  /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/,
  'six pairs of hex digits, lower case',
);
const name = z.string().regex(/^[a-z][a-z0-9-]*$/, 'a host name in lower case');
const ip = z.ipv4();
const vlan = z.strictObject({
  id: z.int().min(2).max(4094),
  subnet: z.cidrv4(),
  gateway: ip,
});
const vm = z.int().min(100).max(999_999_999);

export const siteSchema = z.strictObject({
  domain: z.string().regex(/^([a-z0-9-]+\.)+[a-z]{2,}$/, 'a DNS name in lower case'),
  resolver: ip,
  vlans: z.strictObject({ hosts: vlan, core: vlan, members: vlan }),
  hypervisors: z.record(
    name,
    z.strictObject({ mac, address: ip, diskGiB: z.int().min(32) }),
  ),
  core: z.strictObject({
    endpoint: ip,
    vlan: z.literal('core'),
    nodes: z.record(name, z.strictObject({ host: name, vm, mac, address: ip })),
  }),
  'member-prod': z.strictObject({
    vip: ip,
    vlan: z.literal('members'),
    talos: z.string().regex(/^v1\.\d+\.\d+$/, 'a release such as v1.14.1'),
    kubernetes: z.string().regex(/^1\.\d+\.\d+$/, 'a release such as 1.36.3'),
    services: z.cidrv4(),
    schematic: z.string().regex(/^[0-9a-f]{64}$/, 'sha256sum talos/schematic.yaml'),
    nodes: z.record(
      name,
      z.strictObject({
        role: z.enum(['controlplane', 'worker']),
        host: name,
        vm,
        mac,
        address: ip,
      }),
    ),
  }),
});

export type Site = z.infer<typeof siteSchema>;

/** The file of a checkout's own site. */
export function siteFile(root: string): string {
  const own = join(root, 'site.yaml');
  return existsSync(own) ? own : join(root, 'site.example.yaml');
}

/** Throws `invalid` with every fault and its path, or when the file cannot be read. */
export async function readSite(file: string): Promise<Site> {
  let raw: unknown;
  try {
    raw = parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new AppError('invalid', `Cannot read the site's facts from ${file}`, { cause });
  }
  const result = siteSchema.safeParse(raw);
  if (result.success) return result.data;
  const faults = result.error.issues.map(({ path, message }) => ({
    path: path.join('.'),
    message,
  }));
  const list = faults.map((fault) => `${fault.path}: ${fault.message}`).join('; ');
  throw new AppError('invalid', `Cannot use the site's facts in ${file}: ${list}`, { faults });
}
