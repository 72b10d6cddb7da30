/** What the installer gets besides its own files: the preseed and the scripts it calls, as one more layer of its initrd. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { AppError } from '@hackspace/kit/errors.ts';
import { cpio, type Entry } from './cpio.ts';

const scripts = [
  'allow-disk.sh',
  'host.sh',
  'late.sh',
  'pick-disk.sh',
  'proxmox-install',
  'proxmox-install.service',
  'recipes/bios',
  'recipes/uefi',
  'refusal.templates',
  'refuse.sh',
];

export interface PayloadOptions {
  /** The folder of hypervisor.cfg and the scripts. */
  folder: string;
  /** The table of machines: preseed/hosts.tsv, or a site's own. */
  hosts: string;
  /** File of public ssh keys for root. */
  keys?: string;
  /** File with one crypt(3) hash for root at the console. */
  rootPasswordHash?: string;
  /** File with preseed lines that win over those of hypervisor.cfg: a nearer mirror, a proxy. */
  append?: string;
}

/** The layer, compressed: to be put behind an initrd. Throws `invalid` for what would leave a machine without a login. */
export async function payload(options: PayloadOptions): Promise<Uint8Array> {
  const { folder, hosts, keys, rootPasswordHash, append } = options;
  if (!keys && !rootPasswordHash) {
    throw new AppError(
      'invalid',
      'Cannot make an installer: without ssh keys or a hash nobody could log in',
    );
  }
  const entries: Entry[] = [];
  const add = (path: string, text: string, mode = 0o644) =>
    void entries.push({ path, content: new TextEncoder().encode(text), mode });

  for (const script of scripts) add(`hackspace/${script}`, await text(join(folder, script)), 0o755);
  add('hackspace/hosts.tsv', checkedHosts(await text(hosts), hosts));
  if (keys) add('hackspace/authorized_keys', checkedKeys(await text(keys), keys));
  if (rootPasswordHash) {
    add(
      'hackspace/root-password.hash',
      checkedHash(await text(rootPasswordHash), rootPasswordHash),
      0o600,
    );
  }
  const own = append ? await text(append) : '';
  add('preseed.cfg', `${await text(join(folder, 'hypervisor.cfg'))}${own}`);
  return gzipSync(cpio(entries));
}

/** Pure. One line a machine; # begins a comment. Every fault is named with its line. */
export function checkedHosts(text: string, file: string): string {
  const faults: string[] = [];
  const seen = new Set<string>();
  let machines = 0;
  for (const [index, line] of text.split('\n').entries()) {
    if (line.startsWith('#') || line.trim() === '') continue;
    machines++;
    const [mac = '', name = '', address = '', gateway, resolver, domain, disk = ''] = line.split(
      /\s+/,
    );
    const fault = (what: string) => void faults.push(`line ${index + 1}: ${what}`);
    if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac)) fault(`${mac} is no MAC in lower case`);
    if (!/^[a-z][a-z0-9-]*$/.test(name)) fault(`${name} is no host name`);
    if (!/^\d+(\.\d+){3}\/\d+$/.test(address)) fault(`${address} is no address with a prefix`);
    if (!gateway || !resolver || !domain) fault('gateway, resolver or domain is missing');
    if (!/^\d+$/.test(disk)) fault('the least size of the disk is missing');
    if (seen.has(mac)) fault(`${mac} stands twice`);
    seen.add(mac);
  }
  if (machines === 0) faults.push('it lists no machine');
  if (faults.length > 0) throw new AppError('invalid', `Cannot use ${file}: ${faults.join('; ')}`);
  return text;
}

/** Pure. At least one public key, and nothing private. */
export function checkedKeys(text: string, file: string): string {
  if (/PRIVATE KEY/.test(text)) {
    throw new AppError('invalid', `Cannot use ${file}: it holds a private key`);
  }
  if (!/^(ssh-(ed25519|rsa)|ecdsa-sha2-\S+|sk-\S+) [A-Za-z0-9+/=]+/m.test(text)) {
    throw new AppError('invalid', `Cannot use ${file}: it holds no public ssh key`);
  }
  return text;
}

/** Pure. yescrypt or SHA-512; never a password as it is. */
export function checkedHash(text: string, file: string): string {
  if (!/^\$(y|6)\$\S{20,}\s*$/.test(text)) {
    throw new AppError(
      'invalid',
      `Cannot use ${file}: not one hash by mkpasswd or openssl passwd -6`,
    );
  }
  return text;
}

async function text(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new AppError('invalid', `Cannot read ${file}`, { cause });
  }
}
