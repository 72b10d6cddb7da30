/** Every claim that a checkout holds about a site. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import type { Claim } from './agreement.ts';
import {
  fluxInstanceClaims,
  policyClaims,
  preseedClaims,
  serviceClaims,
  siteClaims,
  talosClaims,
  tfvarsClaims,
  versionsClaims,
  zoneClaims,
} from './claims.ts';
import { readSite } from './site.ts';

/** `root`: the folder that holds talos/, terraform-json/ and the rest. Throws `invalid` for a site file with faults. */
export async function readClaims(siteFile: string, root: string): Promise<Claim[]> {
  const site = await readSite(siteFile);
  const schematic = join(root, 'talos/schematic.yaml');
  const claims = await Promise.all([
    siteClaims(site, relative(root, resolve(siteFile))),
    tfvarsClaims(join(root, 'terraform-json/site.auto.tfvars.json'), root),
    talosClaims(join(root, 'talos'), root),
    preseedClaims(join(root, 'preseed/hosts.tsv'), root),
    zoneClaims(join(root, 'manifests/core/dns.yaml'), root, site),
    policyClaims(
      [
        join(root, 'flux/infra/config/flux-egress.yaml'),
        join(root, 'manifests/services/unsealer.yaml'),
      ],
      root,
    ),
    serviceClaims(
      ['unsealer', 'provisioner'].map((name) => join(root, `manifests/services/${name}.yaml`)),
      root,
    ),
    fluxInstanceClaims(join(root, 'flux/clusters/member-prod/flux-instance.yaml'), root),
    versionsClaims(join(root, 'versions.json'), root),
  ]);
  const names = Object.keys(site['member-prod'].nodes).map((name): Claim => ({
    fact: `${name} name`,
    value: name,
    kind: 'site',
    place: `${relative(root, resolve(siteFile))} (member-prod.nodes.${name})`,
    wanted: ['talos'],
  }));
  return [...claims.flat(), ...names, {
    fact: 'talos schematic',
    value: createHash('sha256').update(await readFile(schematic)).digest('hex'),
    kind: 'talos',
    place: 'talos/schematic.yaml (its sha256)',
  }];
}
