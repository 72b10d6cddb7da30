/**
 * A synthetic netinst image: the layout and boot records of Debian's, with the kernel and initrd of its netboot package.
 * It stands for the real one where that is not to be had; what it has no packages for, it takes from the network.
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { runOk } from '../peers/lib/run.ts';

export const oldIsolinux = `path
default vesamenu.c32
prompt 0
timeout 0
`;
export const oldGrub = `menuentry 'Install' {
  linux /install.amd/vmlinuz
  initrd /install.amd/initrd.gz
}
`;

/** Makes `folder`/netinst.iso and gives its path. Needs xorriso, isolinux, mtools, dosfstools and GRUB for EFI. */
export async function syntheticNetinst(
  folder: string,
  kernel: string,
  initrd: string,
): Promise<string> {
  const tree = join(folder, 'netinst');
  for (const part of ['install.amd', 'isolinux', 'boot/grub', '.disk']) {
    mkdirSync(join(tree, part), { recursive: true });
  }
  copyFileSync(kernel, join(tree, 'install.amd/vmlinuz'));
  copyFileSync(initrd, join(tree, 'install.amd/initrd.gz'));
  copyFileSync('/usr/lib/ISOLINUX/isolinux.bin', join(tree, 'isolinux/isolinux.bin'));
  for (const module of ['ldlinux', 'vesamenu', 'libcom32', 'libutil']) {
    copyFileSync(
      `/usr/lib/syslinux/modules/bios/${module}.c32`,
      join(tree, `isolinux/${module}.c32`),
    );
  }
  writeFileSync(join(tree, 'isolinux/isolinux.cfg'), oldIsolinux);
  writeFileSync(join(tree, 'boot/grub/grub.cfg'), oldGrub);
  writeFileSync(join(tree, '.disk/info'), 'synthetic netinst\n');

  const early = join(folder, 'early.cfg');
  writeFileSync(
    early,
    'search --set=root --file /.disk/info\nset prefix=($root)/boot/grub\nconfigfile ($root)/boot/grub/grub.cfg\n',
  );
  const efi = join(folder, 'bootx64.efi');
  const modules = [
    'iso9660',
    'fat',
    'part_gpt',
    'part_msdos',
    'search',
    'search_fs_file',
    'linux',
    'normal',
    'configfile',
    'all_video',
  ];
  await runOk('grub-mkstandalone', [
    '--format=x86_64-efi',
    `--output=${efi}`,
    `--modules=${modules.join(' ')}`,
    `--install-modules=${modules.join(' ')}`,
    '--locales=',
    '--fonts=',
    `boot/grub/grub.cfg=${early}`,
  ]);
  const image = join(tree, 'boot/grub/efi.img');
  await runOk('mkfs.vfat', ['-C', image, '8192']);
  await runOk('mmd', ['-i', image, '::EFI', '::EFI/BOOT']);
  await runOk('mcopy', ['-i', image, efi, '::EFI/BOOT/BOOTX64.EFI']);

  const files = [
    'install.amd/vmlinuz',
    'install.amd/initrd.gz',
    'isolinux/isolinux.cfg',
    'boot/grub/grub.cfg',
    'boot/grub/efi.img',
  ];
  const sums = files.map((file) =>
    `${createHash('md5').update(readFileSync(join(tree, file))).digest('hex')}  ./${file}\n`
  );
  writeFileSync(join(tree, 'md5sum.txt'), sums.join(''));

  const iso = join(folder, 'netinst.iso');
  await runOk('xorriso', [
    ...[
      '-as',
      'mkisofs',
      '-r',
      '-V',
      'Debian synthetic',
      '-o',
      iso,
      '-isohybrid-mbr',
      '/usr/lib/ISOLINUX/isohdpfx.bin',
    ],
    ...[
      '-b',
      'isolinux/isolinux.bin',
      '-c',
      'isolinux/boot.cat',
      '-boot-load-size',
      '4',
      '-boot-info-table',
      '-no-emul-boot',
    ],
    ...[
      '-eltorito-alt-boot',
      '-e',
      'boot/grub/efi.img',
      '-no-emul-boot',
      '-isohybrid-gpt-basdat',
      tree,
    ],
  ], { timeoutMs: 300_000 });
  return iso;
}
