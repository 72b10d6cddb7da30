/** Pure: the two boot menus of a Debian installer image, made to go ahead on their own, and its list of checksums. */

const kernel = '/install.amd/vmlinuz';
const initrd = '/install.amd/initrd.gz';
const append = 'auto=true priority=critical vga=788 --- quiet';

/** For BIOS. Debian's own menu stays behind the word `debian` at the prompt; times are tenths of seconds. */
export const isolinux = `default hackspace
prompt 1
timeout 50

label hackspace
  kernel ${kernel}
  append initrd=${initrd} ${append}

label debian
  kernel vesamenu.c32
  append debian.cfg
`;

/** For UEFI: an entry before Debian's own, taken after five seconds. */
export function grub(original: string): string {
  return `set default=hackspace
set timeout=5
menuentry 'Install a hypervisor' --id hackspace {
  linux ${kernel} ${append}
  initrd ${initrd}
}
${original}`;
}

/**
 * md5sum.txt with the sums of `changed` files (by path, `./isolinux/isolinux.cfg`) in place of the old ones.
 * Debian's installer offers to check the medium against it.
 */
export function md5sums(original: string, changed: Map<string, string>): string {
  const left = new Map(changed);
  const lines = original.split('\n').filter((line) => line !== '').map((line) => {
    const [, path] = /^[0-9a-f]{32} {2}(.+)$/.exec(line) ?? [];
    const sum = path === undefined ? undefined : left.get(path);
    if (sum === undefined) return line;
    left.delete(path!);
    return `${sum}  ${path}`;
  });
  for (const [path, sum] of left) lines.push(`${sum}  ${path}`);
  return `${lines.join('\n')}\n`;
}
