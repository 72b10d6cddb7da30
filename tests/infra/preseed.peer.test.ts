/** preseed/ against debconf, and its scripts in busybox's shell with nothing but busybox's commands. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { findProgram, type Ran, run } from '../peers/lib/run.ts';
import { needs } from '../peers/lib/needs.ts';
import { openSandbox } from '../peers/lib/sandbox.ts';

const preseed = fileURLToPath(new URL('../../preseed', import.meta.url));
const config = join(preseed, 'hypervisor.cfg');

needs('debconf')('preseed/hypervisor.cfg', () => {
  const check = (file: string) => run('debconf-set-selections', ['--checkonly', file]);

  test('debconf has nothing to say about it', async () => {
    expect(await check(config)).toMatchObject({ code: 0, stdout: '', stderr: '' });
  });

  test('a line without a type would be heard, though debconf exits 0', async () => {
    await using sandbox = await openSandbox('preseed');
    const file = join(sandbox.folder, 'faulty.cfg');
    writeFileSync(
      file,
      readFileSync(config, 'utf8').replace('choose_label select gpt', 'choose_label gpt'),
    );
    const said = await check(file);
    expect(said.code).toBe(0);
    expect(said.stderr).not.toBe('');
  });

  test('each script that it calls by name comes along, and it is the guard that partitioning begins with', () => {
    const text = readFileSync(config, 'utf8');
    const called = [...text.matchAll(/^d-i (\S+) string sh \/hackspace\/(\S+)$/gm)].map((
      [, hook, name],
    ) => [hook, name]);
    expect(called).toEqual([
      ['partman/early_command', 'allow-disk.sh'],
      ['preseed/late_command', 'late.sh'],
    ]);
    for (const [, name] of called) expect(existsSync(join(preseed, name!))).toBe(true);
  });

  test('every question is answered once; no password, no disk, no leave to write is in it', () => {
    const lines = readFileSync(config, 'utf8').split('\n').filter((line) => /^[a-z]/.test(line));
    const questions = lines.map((line) => line.split(/\s+/)[1]);
    expect(questions.length).toBeGreaterThan(30);
    expect(new Set(questions).size).toBe(questions.length);
    const text = lines.join('\n');
    expect(text).not.toMatch(
      /\/dev\/|partman-auto\/disk|partman(-lvm|-md|-partitioning)?\/confirm|grub-installer\/bootdev/,
    );
    expect(text.match(/password.*/g)).toEqual(['password-crypted password *']);
  });
});

needs('busybox')('the scripts of preseed/', () => {
  let sandbox: Awaited<ReturnType<typeof openSandbox>>;
  let bin: string, root: string;

  beforeAll(async () => {
    sandbox = await openSandbox('preseed-sh');
    bin = join(sandbox.folder, 'bin');
    mkdirSync(bin);
    const busybox = findProgram('busybox')!;
    execFileSync(busybox, ['--install', '-s', bin]);
    // Of the installer, not of busybox: they write down what they are asked.
    for (const name of ['debconf-loadtemplate', 'logger', 'in-target']) {
      rmSync(join(bin, name), { force: true });
      writeFileSync(join(bin, name), `#!${join(bin, 'sh')}\necho "${name} $*" >> "$LOG"\n`);
      chmodSync(join(bin, name), 0o755);
    }
    writeFileSync(
      join(bin, 'debconf-set-selections'),
      `#!${join(bin, 'sh')}\ncp "$1" "$LOG.answers"; cat "$1" >> "$LOG"\n`,
      { mode: 0o755 },
    );
  });
  afterAll(() => sandbox?.[Symbol.asyncDispose]());

  beforeEach(() => {
    root = join(sandbox.folder, 'machine');
    rmSync(root, { recursive: true, force: true });
    for (
      const part of [
        'sys/block',
        'sys/class/net/enp1s0',
        'dev',
        'here',
        'target/etc/network',
        'target/root',
        'target/usr/local/sbin',
        'target/etc/systemd/system',
      ]
    ) {
      mkdirSync(join(root, part), { recursive: true });
    }
    execFileSync('cp', ['-r', `${preseed}/.`, join(root, 'here')]);
    // Instead of a dialog of the installer's: the reason.
    writeFileSync(join(root, 'here/refuse.sh'), 'echo "refused: $1" >> "$LOG"\n');
    writeFileSync(join(root, 'here/authorized_keys'), 'ssh-ed25519 AAAA ada\n');
    writeFileSync(join(root, 'sys/class/net/enp1s0/address'), 'bc:24:11:00:10:12\n');
    writeFileSync(join(root, 'cmdline'), 'auto=true priority=critical\n');
  });

  interface Disk {
    gib: number;
    serial?: string;
    removable?: boolean;
    readOnly?: boolean;
    spinning?: boolean;
    usb?: boolean;
    /** What is on it: a partition table the kernel knows, or bytes at this offset that it does not. */
    partitions?: boolean;
    bytesAt?: number;
  }

  function disk(
    name: string,
    { gib, serial, removable, readOnly, spinning, usb, partitions, bytesAt }: Disk,
  ): void {
    const place = join(root, `sys/devices/${usb ? 'usb1' : 'pci0'}/${name}`);
    mkdirSync(join(place, 'queue'), { recursive: true });
    const write = (file: string, content: unknown) => {
      mkdirSync(dirname(join(place, file)), { recursive: true });
      writeFileSync(join(place, file), `${content}\n`);
    };
    write('size', gib * 2 ** 21);
    write('removable', removable ? 1 : 0);
    write('ro', readOnly ? 1 : 0);
    write('queue/rotational', spinning ? 1 : 0);
    if (serial) write('device/serial', serial);
    if (partitions) write(`${name}p1/partition`, 1);
    symlinkSync(place, join(root, `sys/block/${name}`));
    const device = join(root, `dev/${name}`);
    writeFileSync(device, '');
    truncateSync(device, 2 << 20);
    if (bytesAt !== undefined) {
      const content = readFileSync(device);
      content.write('LABELONE', bytesAt);
      writeFileSync(device, content);
    }
  }

  const script = (name: string, ...args: string[]): Promise<Ran> =>
    run(join(bin, 'sh'), [join(root, 'here', name), ...args], {
      env: {
        PATH: bin,
        LOG: join(root, 'log'),
        HERE: join(root, 'here'),
        SYS: join(root, 'sys'),
        DEV: join(root, 'dev'),
        CMDLINE: join(root, 'cmdline'),
        TARGET: join(root, 'target'),
      },
    });
  const log = () => existsSync(join(root, 'log')) ? readFileSync(join(root, 'log'), 'utf8') : '';

  describe('pick-disk.sh', () => {
    test.each<[string, string, Record<string, Disk>]>([
      ['NVMe before SSD before spinning', 'nvme0n1', {
        sda: { gib: 256, spinning: true },
        sdb: { gib: 256 },
        nvme0n1: { gib: 1000 },
      }],
      ['the smallest that is large enough', 'sdb', {
        sda: { gib: 4000 },
        sdb: { gib: 240 },
        sdc: { gib: 64 },
      }],
      ['by name among equals', 'nvme0n1', { nvme1n1: { gib: 500 }, nvme0n1: { gib: 500 } }],
      ['not the stick it was started from', 'sdb', {
        sda: { gib: 256, removable: true },
        sdb: { gib: 500 },
      }],
      ['not a USB disk that says it is fixed', 'sdb', {
        sda: { gib: 256, usb: true },
        sdb: { gib: 500 },
      }],
      ['not a read-only one', 'sdb', { sda: { gib: 256, readOnly: true }, sdb: { gib: 500 } }],
      ['not one with partitions', 'sdb', {
        sda: { gib: 256, partitions: true },
        sdb: { gib: 500 },
      }],
      ['not one with an LVM label', 'sdb', { sda: { gib: 256, bytesAt: 512 }, sdb: { gib: 500 } }],
      ['not one with a btrfs or ZFS label', 'sdb', {
        sda: { gib: 256, bytesAt: 0x10040 },
        sdb: { gib: 500 },
      }],
      ['not what is no disk', 'sda', {
        loop0: { gib: 900 },
        sr0: { gib: 900 },
        zram0: { gib: 900 },
        mmcblk0boot0: { gib: 900 },
        sda: { gib: 1000 },
      }],
    ])('%s', async (_, chosen, disks) => {
      for (const [name, kind] of Object.entries(disks)) disk(name, kind);
      expect(await script('pick-disk.sh', '200')).toMatchObject({
        code: 0,
        stdout: `${join(root, 'dev', chosen)}\n`,
      });
    });

    test('none fits: says of each why', async () => {
      disk('sda', { gib: 100, serial: 'SMALL1' });
      disk('sdb', { gib: 500, serial: 'FULL1', partitions: true });
      disk('sdc', { gib: 500, removable: true });
      const said = await script('pick-disk.sh', '200');
      expect(said).toMatchObject({ code: 1, stdout: '' });
      expect(said.stderr).toContain('sda (100 GiB, serial SMALL1): is smaller than 200 GiB');
      expect(said.stderr).toContain('sdb (500 GiB, serial FULL1): is not blank');
      expect(said.stderr).toContain('sdc (500 GiB, serial unknown): is removable');
      expect(said.stderr).toContain('Cannot pick a disk: none is blank');
    });

    test.each([['FULL1'], ['sdb']])(
      'hackspace.wipe=%s takes that disk and no other, whatever is on it',
      async (name) => {
        writeFileSync(join(root, 'cmdline'), `auto=true hackspace.wipe=${name} quiet\n`);
        disk('sda', { gib: 500, serial: 'BLANK1' });
        disk('sdb', { gib: 500, serial: 'FULL1', partitions: true });
        expect(await script('pick-disk.sh', '200')).toMatchObject({
          code: 0,
          stdout: `${join(root, 'dev/sdb')}\n`,
        });
      },
    );

    test('hackspace.wipe of a disk that is not there takes none', async () => {
      writeFileSync(join(root, 'cmdline'), 'hackspace.wipe=GONE\n');
      disk('sda', { gib: 500, serial: 'BLANK1' });
      expect(await script('pick-disk.sh', '200')).toMatchObject({ code: 1, stdout: '' });
    });
  });

  describe('allow-disk.sh', () => {
    test('a known machine with a blank disk gets every answer, for its firmware', async () => {
      disk('nvme0n1', { gib: 500 });
      mkdirSync(join(root, 'sys/firmware/efi'), { recursive: true });
      expect(await script('allow-disk.sh')).toMatchObject({ code: 0 });
      expect(log()).toContain(`d-i partman-auto/disk string ${join(root, 'dev/nvme0n1')}\n`);
      expect(log()).toContain(
        `d-i partman-auto/expert_recipe_file string ${join(root, 'here/recipes/uefi')}\n`,
      );
      expect(log()).toContain('d-i partman/confirm boolean true\n');
      if (findProgram('debconf-set-selections')) {
        const judged = await run('debconf-set-selections', [
          '--checkonly',
          join(root, 'log.answers'),
        ]);
        expect(judged).toMatchObject({ code: 0, stderr: '' });
      }
    });

    test('without UEFI it is the recipe with a BIOS boot partition', async () => {
      disk('nvme0n1', { gib: 500 });
      await script('allow-disk.sh');
      expect(log()).toContain('recipes/bios\n');
    });

    test.each<[string, () => void, string]>([
      [
        'a machine of somebody else',
        () => writeFileSync(join(root, 'sys/class/net/enp1s0/address'), 'aa:bb:cc:dd:ee:ff\n'),
        'Cannot tell which machine this is',
      ],
      [
        'a machine nobody could log in to',
        () => rmSync(join(root, 'here/authorized_keys')),
        'nobody could log in',
      ],
      [
        'a machine whose keys are a private one',
        () => writeFileSync(join(root, 'here/authorized_keys'), '-----BEGIN OPENSSH\n'),
        'nobody could log in',
      ],
      [
        'a machine whose disks are in use',
        () => writeFileSync(join(root, 'dev/nvme0n1'), 'something'),
        'nvme0n1 (500 GiB, serial unknown): is not blank',
      ],
    ])('%s gets none of the answers', async (_, spoil, why) => {
      disk('nvme0n1', { gib: 500 });
      spoil();
      expect(await script('allow-disk.sh')).toMatchObject({ code: 1 });
      expect(log()).not.toContain('partman');
      expect(log()).toContain('refused: ');
      expect(log()).toContain(why);
    });
  });

  describe('late.sh', () => {
    const target = (path: string) => readFileSync(join(root, 'target', path), 'utf8');

    test('leaves a host that Proxmox installs on: name, address, bridge, keys, service', async () => {
      expect(await script('late.sh')).toMatchObject({ code: 0 });
      expect(target('etc/hostname')).toBe('pve2\n');
      expect(target('etc/hosts')).toContain('\n10.20.0.72 pve2.hackspace.example pve2\n');
      expect(target('etc/hosts')).not.toContain('127.0.1.1');
      expect(target('etc/network/interfaces')).toMatch(
        /address 10\.20\.0\.72\/27\n\tgateway 10\.20\.0\.65\n\tbridge-ports enuplink0\n[^]*bridge-vlan-aware yes/,
      );
      expect(target('etc/systemd/network/10-uplink.link')).toContain(
        'MACAddress=bc:24:11:00:10:12\n',
      );
      expect(target('root/.ssh/authorized_keys')).toBe('ssh-ed25519 AAAA ada\n');
      expect(statSync(join(root, 'target/root/.ssh')).mode & 0o777).toBe(0o700);
      expect(statSync(join(root, 'target/root/.ssh/authorized_keys')).mode & 0o777).toBe(0o600);
      expect(target('etc/ssh/sshd_config.d/hackspace.conf')).toContain(
        'PasswordAuthentication no\n',
      );
      expect(log()).toContain('systemctl enable proxmox-install.service');
      expect(log()).not.toContain('chpasswd');
    });

    test('a hash for the console is handed over by file, and the file is gone', async () => {
      writeFileSync(join(root, 'here/root-password.hash'), '$6$salt$secret\n');
      await script('late.sh');
      expect(log()).toContain('chpasswd -e < /root/.hash');
      expect(log()).not.toContain('$6$');
      expect(existsSync(join(root, 'target/root/.hash'))).toBe(false);
    });
  });
});

needs('dnsmasq')('preseed/pxe/dnsmasq.conf', () => {
  test('dnsmasq takes it', async () => {
    const file = join(preseed, 'pxe/dnsmasq.conf');
    expect(await run('dnsmasq', ['--test', `--conf-file=${file}`])).toMatchObject({ code: 0 });
  });
});

needs('named-checkzone')('the zone in manifests/core/dns.yaml', () => {
  test('is one that a name server loads', async () => {
    await using sandbox = await openSandbox('zone');
    const manifest = fileURLToPath(new URL('../../manifests/core/dns.yaml', import.meta.url));
    const data = parseAllDocuments(readFileSync(manifest, 'utf8'))
      .map((document) => document.toJS()).find(({ kind, metadata }) =>
        kind === 'ConfigMap' && metadata.name === 'dns'
      ).data;
    const file = join(sandbox.folder, 'zone');
    writeFileSync(file, data['hackspace.example']);
    const said = await run('named-checkzone', ['hackspace.example', file]);
    expect(said).toMatchObject({ code: 0, stdout: expect.stringMatching(/OK\s*$/) });
  });
});
