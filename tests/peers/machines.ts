/** Programs of the system that the machines' files are checked with. */
import { existsSync, readFileSync } from 'node:fs';
import { systemPeer } from './lib/peer.ts';
import { findProgram } from './lib/run.ts';

const debian = 'Debian package';

/** Its own check of unit files. */
export const systemd = systemPeer({
  name: 'systemd-analyze',
  had: debian,
  command: 'apt-get install systemd',
  find: () => findProgram('systemd-analyze'),
});

/** Debian's own check of a preseed file. */
export const debconf = systemPeer({
  name: 'debconf',
  had: debian,
  command: 'apt-get install debconf-utils',
  find: () => findProgram('debconf-set-selections'),
});

/** Prometheus' own check and test of alert rules. */
export const promtool = systemPeer({
  name: 'promtool',
  had: debian,
  command: 'apt-get install prometheus',
  find: () => findProgram('promtool'),
});

/** The shell of Debian's installer. */
export const busybox = systemPeer({
  name: 'busybox',
  had: debian,
  command: 'apt-get install busybox-static',
  find: () => findProgram('busybox'),
});

export const checkzone = systemPeer({
  name: 'named-checkzone',
  had: debian,
  command: 'apt-get install bind9-utils',
  find: () => findProgram('named-checkzone'),
});

/** What takes ISO images apart, puts them together, and makes a bootable one for tests. */
export const isoTools = systemPeer({
  name: 'iso-tools',
  had: 'Debian packages',
  command:
    'apt-get install xorriso cpio isolinux syslinux-common mtools dosfstools grub-efi-amd64-bin',
  find: () =>
    ['xorriso', 'cpio', 'mcopy', 'mkfs.vfat', 'grub-mkstandalone'].every(findProgram) &&
    existsSync('/usr/lib/ISOLINUX/isolinux.bin'),
});

/** A PC in software, with both kinds of firmware. */
export const qemu = systemPeer({
  name: 'qemu',
  had: 'Debian packages',
  command: 'apt-get install qemu-system-x86 ovmf fdisk',
  find: () =>
    findProgram('qemu-system-x86_64') && findProgram('sfdisk') &&
    existsSync('/usr/share/OVMF/OVMF_CODE_4M.fd'),
});

export const dnsmasq = systemPeer({
  name: 'dnsmasq',
  had: debian,
  command: 'apt-get install dnsmasq-base',
  find: () => findProgram('dnsmasq'),
});

/**
 * The newest of Debian's netboot installers on this machine: its kernel and initrd. HACKSPACE_NETBOOT is the folder of
 * another, as netboot.tar.gz unpacks.
 */
export function netbootImages():
  | { release: string; folder: string; kernel: string; initrd: string }
  | undefined {
  const given = process.env.HACKSPACE_NETBOOT;
  const installed = ['13', '12'].map((n) => `/usr/lib/debian-installer/images/${n}/amd64/text`);
  const folder = (given ? [given] : installed).find((each) => existsSync(`${each}/version.info`));
  if (!folder) return undefined;
  const [, release = ''] = /^Debian version:\s*(\d+)/m.exec(
    readFileSync(`${folder}/version.info`, 'utf8'),
  ) ?? [];
  const files = `${folder}/debian-installer/amd64`;
  return { release, folder, kernel: `${files}/linux`, initrd: `${files}/initrd.gz` };
}

export const debianInstaller = systemPeer({
  name: 'debian-installer',
  had: debian,
  command: 'apt-get install debian-installer-13-netboot-amd64 (or -12-)',
  find: netbootImages,
});
