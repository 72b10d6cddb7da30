/** An unattended installer image from Debian's own, by xorriso: same files, same boot records, one initrd with a layer more. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AppError } from '@hackspace/kit/errors.ts';
import { grub, isolinux, md5sums } from './boot-menus.ts';

const exec = promisify(execFile);

/** Where Debian's amd64 images keep what changes. */
const paths = {
  initrd: '/install.amd/initrd.gz',
  isolinux: '/isolinux/isolinux.cfg',
  grub: '/boot/grub/grub.cfg',
  sums: '/md5sum.txt',
};

/**
 * Writes `to`, complete or not at all. `layer`: of payload(). Throws `invalid` when `from` is no Debian installer image for
 * amd64, `unavailable` without xorriso.
 */
export async function remaster(from: string, layer: Uint8Array, to: string): Promise<void> {
  if (!existsSync(from)) throw new AppError('invalid', `Cannot remaster ${from}: no such file`);
  const scratch = await mkdtemp(join(tmpdir(), 'remaster-'));
  const within = (name: keyof typeof paths) => join(scratch, name);
  try {
    const extract = Object.entries(paths).flatMap((
      [name, path],
    ) => ['-extract', path, join(scratch, name)]);
    await xorriso(['-osirrox', 'on', '-indev', from, ...extract], from);
    const changed = new Map<string, Uint8Array>([
      [paths.initrd, Buffer.concat([await readFile(within('initrd')), layer])],
      [paths.isolinux, Buffer.from(isolinux)],
      ['/isolinux/debian.cfg', await readFile(within('isolinux'))],
      [paths.grub, Buffer.from(grub(await readFile(within('grub'), 'utf8')))],
    ]);
    const sums = new Map(
      [...changed].map((
        [path, bytes],
      ) => [`.${path}`, createHash('md5').update(bytes).digest('hex')]),
    );
    changed.set(paths.sums, Buffer.from(md5sums(await readFile(within('sums'), 'utf8'), sums)));

    const maps: string[] = [];
    for (const [index, [path, bytes]] of [...changed].entries()) {
      const file = join(scratch, `new-${index}`);
      await writeFile(file, bytes);
      maps.push('-map', file, path);
    }
    await rm(`${to}.new`, { force: true });
    // "replay" writes the boot records as they were found: El Torito for BIOS and UEFI, and the MBR and GPT of a stick.
    await xorriso(
      ['-indev', from, '-outdev', `${to}.new`, '-boot_image', 'any', 'replay', ...maps],
      from,
    );
    await rename(`${to}.new`, to);
  } finally {
    await rm(scratch, { recursive: true, force: true });
    await rm(`${to}.new`, { force: true });
  }
}

async function xorriso(args: string[], image: string): Promise<void> {
  try {
    await exec('xorriso', ['-abort_on', 'FAILURE', '-return_with', 'SORRY', '32', ...args], {
      timeout: 600_000,
      maxBuffer: 16 << 20,
    });
  } catch (error) {
    const { code, stderr = '' } = error as { code?: unknown; stderr?: string };
    if (code === 'ENOENT') {
      throw new AppError(
        'unavailable',
        'Cannot remaster: there is no xorriso; apt-get install xorriso',
      );
    }
    const missing = /attributes of \(ISO\) source file '([^']+)'/.exec(stderr)?.[1];
    const why = missing
      ? `it has no ${missing}; Debian's netinst for amd64 has`
      : stderr.split('\n').filter((line) => /: (FAILURE|FATAL|SORRY) :/.test(line)).join('; ');
    throw new AppError('invalid', `Cannot remaster ${image}: ${why}`);
  }
}
