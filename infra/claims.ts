/** What each raw file says about a site, read from the file as its own tool reads it. */
import { readdir, readFile } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import type { Claim, Kind } from './agreement.ts';
import type { Site } from './site.ts';

/** A site's facts, each with the kinds of file that have to repeat it. */
export function siteClaims(site: Site, file: string): Claim[] {
  const claims: Claim[] = [];
  const say = (fact: string, value: unknown, path: string, ...wanted: Kind[]) =>
    void claims.push({ fact, value: `${value}`, kind: 'site', place: `${file} (${path})`, wanted });

  say('domain', site.domain, 'domain', 'tfvars', 'preseed', 'dns');
  say('resolver', site.resolver, 'resolver', 'tfvars', 'preseed', 'talos');
  for (const [name, vlan] of Object.entries(site.vlans)) {
    say(`vlan ${name} id`, vlan.id, `vlans.${name}.id`, 'tfvars');
    const hosts: Kind[] = name === 'hosts' ? ['preseed'] : [];
    const talos: Kind[] = name === 'members' ? ['talos'] : [];
    const policy: Kind[] = name === 'members' ? ['policy'] : [];
    say(
      `vlan ${name} subnet`,
      vlan.subnet,
      `vlans.${name}.subnet`,
      'tfvars',
      ...hosts,
      ...talos,
      ...policy,
    );
    say(
      `vlan ${name} gateway`,
      vlan.gateway,
      `vlans.${name}.gateway`,
      'tfvars',
      ...hosts,
      ...talos,
    );
  }
  for (const [name, host] of Object.entries(site.hypervisors)) {
    const path = `hypervisors.${name}`;
    say(`${name} address`, host.address, `${path}.address`, 'tfvars', 'preseed', 'dns');
    say(`${name} mac`, host.mac, `${path}.mac`, 'preseed');
    say(`${name} disk GiB`, host.diskGiB, `${path}.diskGiB`, 'preseed');
  }
  for (const [group, nodes] of Object.entries(nodesOf(site))) {
    for (const [name, { address }] of Object.entries(nodes)) {
      say(`machine at ${address}`, address, `${group}.${name}`);
    }
  }
  say('core address', site.core.endpoint, 'core.endpoint', 'dns');
  const member = site['member-prod'];
  say('member-prod address', member.vip, 'member-prod.vip', 'tfvars', 'talos', 'dns', 'services');
  say('talos version', member.talos, 'member-prod.talos', 'tfvars', 'talos', 'versions');
  say('kubernetes version', member.kubernetes, 'member-prod.kubernetes', 'versions');
  say('talos schematic', member.schematic, 'member-prod.schematic', 'tfvars', 'talos');
  say('member-prod services', member.services, 'member-prod.services', 'talos');
  const api = firstOf(member.services);
  say('member-prod API inside', api, 'first of member-prod.services', 'policy');
  for (
    const [cluster, nodes] of [['core', site.core.nodes], ['member-prod', member.nodes]] as const
  ) {
    for (const [name, node] of Object.entries(nodes)) {
      const path = `${cluster}.nodes.${name}`;
      const talos: Kind[] = cluster === 'core' ? [] : ['talos'];
      say(`${name} address`, node.address, `${path}.address`, 'tfvars', 'dns', ...talos);
      say(`${name} mac`, node.mac, `${path}.mac`, 'tfvars');
      say(`${name} vm`, node.vm, `${path}.vm`, 'tfvars');
      say(`${name} host`, node.host, `${path}.host`, 'tfvars');
      if ('role' in node) say(`${name} role`, node.role, `${path}.role`, 'tfvars', 'talos');
    }
  }
  return claims;
}

interface Tfvars {
  domain: string;
  resolver: string;
  hypervisors: Record<string, { address: string }>;
  vlans: Record<string, { id: number; subnet: string; gateway: string }>;
  talos: { version: string; schematic: string };
  core_nodes: Record<string, TfNode>;
  member_vip: string;
  member_nodes: Record<string, TfNode & { role: string }>;
}
interface TfNode {
  host: string;
  vm_id: number;
  mac: string;
  address: string;
}

export async function tfvarsClaims(file: string, root: string): Promise<Claim[]> {
  const vars: Tfvars = JSON.parse(await readFile(file, 'utf8'));
  const { claims, say } = collect('tfvars', relative(root, file));
  say('domain', vars.domain, 'domain');
  say('resolver', vars.resolver, 'resolver');
  say('member-prod address', vars.member_vip, 'member_vip');
  say('talos version', vars.talos.version, 'talos.version');
  say('talos schematic', vars.talos.schematic, 'talos.schematic');
  for (const [name, vlan] of Object.entries(vars.vlans)) {
    for (const key of ['id', 'subnet', 'gateway'] as const) {
      say(`vlan ${name} ${key}`, vlan[key], `vlans.${name}.${key}`);
    }
  }
  for (const [name, host] of Object.entries(vars.hypervisors)) {
    say(`${name} address`, host.address, `hypervisors.${name}.address`);
  }
  for (const group of ['core_nodes', 'member_nodes'] as const) {
    for (const [name, node] of Object.entries(vars[group])) {
      const path = `${group}.${name}`;
      say(`${name} address`, node.address, `${path}.address`);
      say(`${name} mac`, node.mac, `${path}.mac`);
      say(`${name} vm`, node.vm_id, `${path}.vm_id`);
      say(`${name} host`, node.host, `${path}.host`);
      if ('role' in node) say(`${name} role`, node.role, `${path}.role`);
    }
  }
  return claims;
}

/** Of every patch and node file below talos/; a node's name and role are its file's name and folder. */
export async function talosClaims(folder: string, root: string): Promise<Claim[]> {
  const claims: Claim[] = [];
  let services = '10.96.0.0/12';
  let servicesPlace = 'no KubeNetworkConfig: its default';
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    const within = relative(folder, file);
    if (!entry.isFile() || !/^(patches|nodes)\/.*\.yaml$/.test(within)) continue;
    const [area, role] = within.split('/');
    const node = area === 'nodes' ? basename(file, '.yaml') : undefined;
    const { claims: own, say } = collect('talos', relative(root, file));
    if (node) say(`${node} role`, role, 'its folder');
    for (const document of parseAllDocuments(await readFile(file, 'utf8'))) {
      // deno-lint-ignore no-explicit-any -- the shape is Talos', and talosctl is the one that checks it
      const doc: any = document.toJS();
      if (doc?.kind === 'HostnameConfig' && node) {
        say(`${node} name`, doc.hostname, 'HostnameConfig');
      }
      if (doc?.kind === 'LinkConfig' && node) {
        const [address, prefix] = `${doc.addresses?.[0]?.address}`.split('/');
        say(`${node} address`, address, 'LinkConfig.addresses');
        say('vlan members subnet', subnetOf(`${address}`, Number(prefix)), 'LinkConfig.addresses');
        say('vlan members gateway', doc.routes?.[0]?.gateway, 'LinkConfig.routes');
      }
      if (doc?.kind === 'Layer2VIPConfig') {
        say('member-prod address', doc.name, 'Layer2VIPConfig.name');
      }
      if (doc?.kind === 'KubeNetworkConfig' && doc.serviceSubnets) {
        services = doc.serviceSubnets.join(' ');
        servicesPlace = `${within}: KubeNetworkConfig.serviceSubnets`;
      }
      if (doc?.kind === 'ResolverConfig') {
        for (const { address } of doc.nameservers) say('resolver', address, 'ResolverConfig');
      }
      if (doc?.kind === 'UnattendedInstallConfig' && doc.installer?.image) {
        const [, schematic, version] = /\/([0-9a-f]+):(v[\d.]+)$/.exec(doc.installer.image) ?? [];
        say('talos schematic', schematic, 'UnattendedInstallConfig.installer.image');
        say('talos version', version, 'UnattendedInstallConfig.installer.image');
      }
      for (const subnet of doc?.cluster?.etcd?.advertisedSubnets ?? []) {
        say('vlan members subnet', subnet, 'cluster.etcd.advertisedSubnets');
      }
      for (const subnet of doc?.nodeIP?.validSubnets ?? []) {
        if (subnet.startsWith('!')) {
          say('member-prod address', subnet.slice(1).split('/')[0], 'KubeNodeConfig.nodeIP');
        } else say('vlan members subnet', subnet, 'KubeNodeConfig.nodeIP');
      }
    }
    claims.push(...own);
  }
  const { claims: own, say } = collect('talos', relative(root, folder));
  say('member-prod services', services, servicesPlace);
  return [...claims, ...own];
}

/** Of the installer's table of machines: mac, name, address, gateway, resolver, domain, least GiB of disk. */
export async function preseedClaims(file: string, root: string): Promise<Claim[]> {
  const claims: Claim[] = [];
  for (const [number, line] of (await readFile(file, 'utf8')).split('\n').entries()) {
    if (line.startsWith('#') || line.trim() === '') continue;
    const { claims: own, say } = collect('preseed', relative(root, file));
    const [mac, name, address, gateway, resolver, domain, disk] = line.split(/\s+/);
    const [ip, prefix] = `${address}`.split('/');
    const at = `line ${number + 1}`;
    say(`${name} mac`, mac, at);
    say(`${name} address`, ip, at);
    say('vlan hosts subnet', subnetOf(`${ip}`, Number(prefix)), at);
    say('vlan hosts gateway', gateway, at);
    say('resolver', resolver, at);
    say('domain', domain, at);
    say(`${name} disk GiB`, disk, at);
    claims.push(...own);
  }
  return claims;
}

/**
 * Of the zone in manifests/core/dns.yaml: `NAME A ADDRESS` lines. A name that is a machine's or a cluster's has to be
 * its address; any other (a service, a wildcard) has to lead to a machine.
 */
export async function zoneClaims(file: string, root: string, site: Site): Promise<Claim[]> {
  const { claims, say } = collect('dns', relative(root, file));
  const own = new Set(Object.values(nodesOf(site)).flatMap((nodes) => Object.keys(nodes)));
  for (const document of parseAllDocuments(await readFile(file, 'utf8'))) {
    for (const [key, zone] of Object.entries<string>(document.toJS()?.data ?? {})) {
      const origin = /^\$ORIGIN\s+(\S+)\.$/m.exec(zone)?.[1];
      if (!origin) continue;
      say('domain', origin, `${key} $ORIGIN`);
      for (const [, name, address] of zone.matchAll(/^([\w.*-]+)\s+A\s+([\d.]+)/gm)) {
        const at = `${key} ${name}`;
        if (own.has(name!) || name === 'core' || name === 'member-prod') {
          say(`${name} address`, address, at);
        } else say(`machine at ${address}`, address, at);
      }
    }
  }
  return claims;
}

/** Of our services' configs: wherever they call an API server, it is member-prod's, by the address its certificate names. */
export async function serviceClaims(files: string[], root: string): Promise<Claim[]> {
  const claims: Claim[] = [];
  for (const file of files) {
    const { claims: own, say } = collect('services', relative(root, file));
    for (const document of parseAllDocuments(await readFile(file, 'utf8'))) {
      const doc = document.toJS();
      if (doc?.kind !== 'ConfigMap') continue;
      for (const [key, text] of Object.entries<string>(doc.data)) {
        for (const [, host] of text.matchAll(/https:\/\/([^\s:/]+):6443\b/g)) {
          say('member-prod address', host, key);
        }
      }
    }
    claims.push(...own);
  }
  return claims;
}

/** Of what lets core and Flux reach the members' cluster's API: every ipBlock in these files is its VLAN. */
export async function policyClaims(files: string[], root: string): Promise<Claim[]> {
  const claims: Claim[] = [];
  for (const file of files) {
    const { claims: own, say } = collect('policy', relative(root, file));
    for (const document of parseAllDocuments(await readFile(file, 'utf8'))) {
      const doc = document.toJS();
      if (doc?.kind !== 'NetworkPolicy') continue;
      for (const rule of doc.spec?.egress ?? []) {
        for (const to of rule.to ?? []) {
          const cidr: string | undefined = to.ipBlock?.cidr;
          const api = rule.ports?.some(({ port }: { port: unknown }) => port === 6443);
          if (cidr && api) say('vlan members subnet', cidr, `NetworkPolicy ${doc.metadata.name}`);
        }
      }
    }
    claims.push(...own);
  }
  return claims;
}

/** Of a FluxInstance: the addresses that kustomize-controller may reach without the closed proxy are the API's. */
export async function fluxInstanceClaims(file: string, root: string): Promise<Claim[]> {
  const { claims, say } = collect('policy', relative(root, file));
  for (const { patch } of parse(await readFile(file, 'utf8')).spec.kustomize.patches) {
    for (const { value } of parse(patch) as { value: { name?: string; value?: string } }[]) {
      if (value.name !== 'NO_PROXY') continue;
      for (const host of value.value!.split(',').filter((each) => /^[\d.]+$/.test(each))) {
        say('member-prod API inside', host, 'NO_PROXY');
      }
    }
  }
  return claims;
}

/** Of versions.json: the tools that tests run are those that the site runs. */
export async function versionsClaims(file: string, root: string): Promise<Claim[]> {
  const { tools } = JSON.parse(await readFile(file, 'utf8')) as { tools: Record<string, string> };
  const { claims, say } = collect('versions', relative(root, file));
  say('talos version', `v${tools.talosctl}`, 'tools.talosctl');
  say('kubernetes version', tools.kubernetes, 'tools.kubernetes');
  return claims;
}

function nodesOf(site: Site): Record<string, Record<string, { address: string }>> {
  return {
    hosts: site.hypervisors,
    core: site.core.nodes,
    members: site['member-prod'].nodes,
  };
}

function collect(kind: Kind, file: string) {
  const claims: Claim[] = [];
  const say = (fact: string, value: unknown, path: string) =>
    void claims.push({ fact, value: `${value}`, kind, place: `${file} (${path})` });
  return { claims, say };
}

/** The first address of a subnet: of the services' one, Kubernetes gives it to its own API. */
export function firstOf(cidr: string): string {
  const [address, prefix] = cidr.split('/');
  const network = subnetOf(`${address}`, Number(prefix)).split('/')[0]!;
  return network.replace(/\d+$/, (last) => `${Number(last) + 1}`);
}

/** The network of an IPv4 address, as CIDR. */
export function subnetOf(address: string, prefix: number): string {
  const bits = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const size = 2 ** (32 - prefix);
  const network = Math.floor(bits / size) * size;
  return `${
    [24, 16, 8, 0].map((shift) => Math.floor(network / 2 ** shift) % 256).join('.')
  }/${prefix}`;
}
