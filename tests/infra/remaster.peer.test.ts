/** preseed/cli.ts on a synthetic netinst: what changes and what must not, as xorriso and cpio see it. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run, runOk } from '../peers/lib/run.ts';
import { needs } from '../peers/lib/needs.ts';
import { openSandbox } from '../peers/lib/sandbox.ts';
import { oldGrub, oldIsolinux, syntheticNetinst } from './netinst.ts';

const cli = fileURLToPath(new URL('../../preseed/cli.ts', import.meta.url));
const key = `ssh-ed25519 ${'A'.repeat(68)} test`;

needs('iso-tools')('preseed/cli.ts', () => {
  let sandbox: Awaited<ReturnType<typeof openSandbox>>;
  let folder: string, iso: string, made: string;
  const remaster = (...args: string[]) => run(process.execPath, [cli, ...args]);

  beforeAll(async () => {
    sandbox = await openSandbox('remaster');
    folder = sandbox.folder;
    mkdirSync(join(folder, 'root'));
    writeFileSync(join(folder, 'root/init'), 'the installer\n');
    execFileSync('sh', ['-c', 'find . | cpio --quiet -o -H newc | gzip > ../initrd.gz'], {
      cwd: join(folder, 'root'),
    });
    writeFileSync(join(folder, 'vmlinuz'), 'a kernel');
    writeFileSync(join(folder, 'keys'), `${key}\n`);
    writeFileSync(
      join(folder, 'extra.cfg'),
      'd-i mirror/http/proxy string http://proxy.example:3128\n',
    );
    iso = await syntheticNetinst(folder, join(folder, 'vmlinuz'), join(folder, 'initrd.gz'));
    made = join(folder, 'made.iso');
    const said = await remaster(
      'iso',
      '--in',
      iso,
      '--out',
      made,
      '--keys',
      join(folder, 'keys'),
      '--append',
      join(folder, 'extra.cfg'),
    );
    expect(said).toMatchObject({ code: 0, stderr: '' });
    await runOk('xorriso', [
      '-osirrox',
      'on',
      '-indev',
      made,
      '-extract',
      '/',
      join(folder, 'after'),
    ]);
    execFileSync('chmod', ['-R', 'u+w', join(folder, 'after')]);
  });
  afterAll(() => sandbox?.[Symbol.asyncDispose]());
  const after = (path: string) => join(folder, 'after', path);

  test('both boot records are those of the original: El Torito for BIOS and UEFI, MBR and GPT for a stick', async () => {
    const records = async (image: string) => {
      const report = await runOk('xorriso', [
        '-indev',
        image,
        '-report_el_torito',
        'plain',
        '-report_system_area',
        'plain',
      ]);
      return report.split('\n').map((line) =>
        line.replace(/\s+/g, ' ').replace(/ \d+ *$/, '').trim()
      )
        .filter((line) =>
          /^(El Torito (cat|img path|boot img)|System area summary|MBR partition :|GPT partition name)/
            .test(line)
        );
    };
    const [before, now] = [await records(iso), await records(made)];
    expect(before.join('\n')).toMatch(/BIOS[^]*UEFI/);
    expect(before.join('\n')).toMatch(/isohybrid/);
    expect(now.length).toBe(before.length);
    expect(now.filter((line) => line.startsWith('El Torito img path'))).toEqual(
      before.filter((line) => line.startsWith('El Torito img path')),
    );
  });

  test('every checksum of the medium holds, the new files included', async () => {
    const checked = await run('md5sum', ['--check', '--strict', 'md5sum.txt'], { cwd: after('.') });
    expect(checked).toMatchObject({ code: 0 });
    expect(checked.stdout).toContain('./isolinux/debian.cfg: OK');
    expect(checked.stdout).toContain('./install.amd/initrd.gz: OK');
  });

  test('the initrd is Debian’s with a layer that the kernel unpacks over it', () => {
    const original = readFileSync(join(folder, 'initrd.gz'));
    const initrd = readFileSync(after('install.amd/initrd.gz'));
    expect(initrd.subarray(0, original.length).equals(original)).toBe(true);
    writeFileSync(join(folder, 'layer.gz'), initrd.subarray(original.length));
    mkdirSync(join(folder, 'layer'));
    execFileSync('sh', ['-c', 'gunzip -c ../layer.gz | cpio --quiet -i'], {
      cwd: join(folder, 'layer'),
    });
    const layer = (path: string) => readFileSync(join(folder, 'layer', path), 'utf8');
    expect(layer('hackspace/authorized_keys')).toBe(`${key}\n`);
    expect(layer('hackspace/hosts.tsv')).toContain('pve1');
    expect(layer('preseed.cfg')).toMatch(
      /mirror\/http\/proxy string http:\/\/proxy\.example:3128\n$/,
    );
    expect(layer('hackspace/pick-disk.sh')).toMatch(/^#!\/bin\/sh/);
  });

  test('Debian’s own menus are still there', () => {
    expect(readFileSync(after('isolinux/debian.cfg'), 'utf8')).toBe(oldIsolinux);
    expect(readFileSync(after('boot/grub/grub.cfg'), 'utf8')).toMatch(
      new RegExp(`${oldGrub.slice(0, 20)}`),
    );
    expect(readFileSync(after('install.amd/vmlinuz'), 'utf8')).toBe('a kernel');
  });

  test('the same input gives the same installer', async () => {
    const again = join(folder, 'again.gz');
    for (const name of [again, `${again}2`]) {
      expect(
        await remaster(
          'initrd',
          '--in',
          join(folder, 'initrd.gz'),
          '--out',
          name,
          '--keys',
          join(folder, 'keys'),
        ),
      ).toMatchObject({ code: 0 });
    }
    expect(readFileSync(again).equals(readFileSync(`${again}2`))).toBe(true);
  });

  test.each([
    ['no login', () => ['--in', iso], 'without ssh keys or a hash nobody could log in'],
    [
      'no image',
      () => ['--in', join(folder, 'none.iso'), '--keys', join(folder, 'keys')],
      'no such file',
    ],
    [
      'an image of something else',
      () => ['--in', join(folder, 'other.iso'), '--keys', join(folder, 'keys')],
      'it has no /install.amd/initrd.gz',
    ],
    [
      'a file that is no image',
      () => ['--in', join(folder, 'vmlinuz'), '--keys', join(folder, 'keys')],
      'Cannot remaster',
    ],
    [
      'itself',
      () => ['--in', join(folder, 'bad.iso'), '--keys', join(folder, 'keys')],
      'the same file',
    ],
  ])('refuses %s, and leaves no file behind', async (_, args, why) => {
    await runOk('xorriso', [
      '-outdev',
      join(folder, 'other.iso'),
      '-blank',
      'as_needed',
      '-map',
      join(folder, 'root'),
      '/',
    ]);
    const said = await remaster('iso', ...args(), '--out', join(folder, 'bad.iso'));
    expect(said).toMatchObject({ code: 1, stderr: expect.stringContaining(why) });
    expect(await run('sh', ['-c', 'ls bad.iso bad.iso.new'], { cwd: folder })).toMatchObject({
      stdout: '',
    });
  });
});
