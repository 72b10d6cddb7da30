/** What preseed/ makes of Debian's installer, for the machine that qemu is. */
import { cpSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { netbootImages } from '../peers/machines.ts';
import { runOk } from '../peers/lib/run.ts';
import type { Firmware } from './machine.ts';

const preseed = fileURLToPath(new URL('../../preseed', import.meta.url));

/** Of the machine's only card, and so its line in hosts.tsv. */
export const mac = '52:54:00:00:10:11';

export interface Making {
  /** For what is made, and for the files it is made of. */
  folder: string;
  kind: 'iso' | 'initrd';
  from: string;
  /** A public ssh key; one that nobody has without. */
  key?: string;
  /** Preseed lines that win over hypervisor.cfg. */
  append: string[];
}

/** The path of the image or initrd. */
export async function makeInstaller({ folder, kind, from, key, append }: Making): Promise<string> {
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const host = [mac, 'pve1', '10.0.2.15/24', '10.0.2.2', '10.0.2.3', 'hackspace.example', '8'];
  const to = join(folder, `made.${kind}`);
  await runOk(process.execPath, [
    ...[join(preseed, 'cli.ts'), kind, '--in', from, '--out', to],
    ...['--keys', file('keys', key ?? `ssh-ed25519 ${'A'.repeat(68)} test\n`)],
    ...['--hosts', file('hosts.tsv', `${host.join('\t')}\n`)],
    ...['--append', file('append.cfg', append.map((line) => `d-i ${line}\n`).join(''))],
  ], { timeoutMs: 300_000 });
  return to;
}

/**
 * A TFTP folder by preseed/README.md: Debian's netboot files as they are, and three of ours among them. `kernelArguments`
 * are more of them.
 */
export async function netbootFolder(
  making: Omit<Making, 'kind' | 'from'>,
  kernelArguments = '',
): Promise<string> {
  const tftp = join(making.folder, 'tftp');
  const files = join(tftp, 'debian-installer/amd64');
  cpSync(netbootImages()!.folder, tftp, { recursive: true, verbatimSymlinks: true });
  const config = (ours: string, theirs: string) => {
    const text = readFileSync(join(preseed, 'pxe', ours), 'utf8');
    writeFileSync(join(files, theirs), text.replace(' ---', ` ${kernelArguments} ---`));
  };
  config('pxelinux.cfg/default', 'pxelinux.cfg/default');
  config('grub.cfg', 'grub/grub.cfg');
  const from = join(files, 'initrd.gz');
  renameSync(
    await makeInstaller({ ...making, kind: 'initrd', from }),
    join(files, 'hypervisor-initrd.gz'),
  );
  return tftp;
}

/** What that folder's machines are told to start. */
export const bootFile: Record<Firmware, string> = {
  bios: 'pxelinux.0',
  uefi: 'debian-installer/amd64/bootnetx64.efi',
};

/** The release of a Linux kernel image: 6.12.117+deb13-amd64. */
export function kernelRelease(file: string): string {
  const image = readFileSync(file);
  const at = 0x200 + image.readUInt16LE(0x20e);
  return image.toString('latin1', at, image.indexOf(' ', at));
}
