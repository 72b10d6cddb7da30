/**
 * Debian's installer for real, in qemu and with nobody at the keyboard: from each medium to a preseed that was read
 * (`-t boots`), and from the network to a new system that lets its operator in. Without KVM minutes, and hours a firmware.
 * HACKSPACE_INSTALL=partitions stops when the disk is laid out.
 */
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { bootFile, kernelRelease, mac, makeInstaller, netbootFolder } from '../infra/installer.ts';
import {
  blankDisk,
  type Firmware,
  type Machine,
  type MachineOptions,
  startMachine,
  startSyslog,
} from '../infra/machine.ts';
import { startMirror, unfit } from '../infra/mirror.ts';
import { syntheticNetinst } from '../infra/netinst.ts';
import { run, runOk } from '../peers/lib/run.ts';
import { needs } from '../peers/lib/needs.ts';
import { reservePort } from '../peers/lib/ports.ts';
import { noteSkipped } from '../peers/lib/skipped.ts';
import { openSandbox } from '../peers/lib/sandbox.ts';
import { netbootImages } from '../peers/machines.ts';

const minutes = (n: number) => n * 60_000;
const screen = (name: string) =>
  fileURLToPath(new URL(`../../docs/screenshots/installer-${name}.png`, import.meta.url));
const firmwares: Firmware[] = ['bios', 'uefi'];
const suites: Record<string, string> = { 12: 'bookworm', 13: 'trixie' };
/** Types of GPT partitions: what the firmware starts from, and LVM. */
const boot = {
  bios: '21686148-6449-6E6F-744E-656564454649',
  uefi: 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B',
};
const lvm = 'E6D6D379-F507-44C2-A23C-238F2A3DF928';

const another =
  'HACKSPACE_DEBIAN_MIRROR=http://MIRROR/debian npm run test:e2e -- installer (MIRROR: one that is complete)';

// Said by the preseed itself, which then ends the machine.
const append = [
  'preseed/early_command string ' +
  'if [ -d /sys/firmware/efi ]; then f=uefi; else f=bios; fi; echo preseed read under $f > /dev/ttyS0; poweroff -f',
];

async function bootsAlone(options: MachineOptions): Promise<void> {
  const began = Date.now();
  await using machine = await startMachine(options);
  await Promise.race([machine.off, sleep(minutes(13), undefined, { ref: false })]);
  expect(machine.serial()).toContain(`preseed read under ${options.firmware}`);
  process.stderr.write(
    `[boot] ${options.firmware}, ${options.cdrom ? 'image' : 'network'}: ${
      Math.round((Date.now() - began) / 1000)
    } s\n`,
  );
}

needs('iso-tools', 'qemu', 'debian-installer')('the media, with nobody at the keyboard', () => {
  test.each(firmwares)('the remastered image boots under %s', async (firmware) => {
    await using sandbox = await openSandbox(`iso-${firmware}`);
    const { folder } = sandbox;
    const { kernel, initrd } = netbootImages()!;
    const from = await syntheticNetinst(folder, kernel, initrd);
    const cdrom = await makeInstaller({ folder, kind: 'iso', from, append });
    await bootsAlone({ folder, firmware, cdrom });
  }, minutes(15));

  test.each(firmwares)('a blank machine boots under %s from the network', async (firmware) => {
    await using sandbox = await openSandbox(`pxe-${firmware}`);
    const { folder } = sandbox;
    const netboot = { folder: await netbootFolder({ folder, append }), file: bootFile[firmware] };
    const disk = blankDisk(folder, 1);
    await bootsAlone({ folder, firmware, disk, mac, netboot });
  }, minutes(15));
});

needs('qemu', 'debian-installer', 'sshd')('the installer', () => {
  test.for(firmwares)(
    'makes a host of a blank %s machine by itself',
    { timeout: minutes(180) },
    async (firmware, { skip }) => {
      await using sandbox = await openSandbox(`install-${firmware}`);
      await using mirror = await startMirror();
      await using syslog = await startSyslog();
      const { folder } = sandbox;
      const { release, kernel } = netbootImages()!;
      const skipped = (why: string) => {
        const title = `the installer makes a host of a blank ${firmware} machine`;
        if (process.env.HACKSPACE_PEERS_REQUIRED) throw new Error(`Cannot run ${title}: ${why}`);
        process.stderr.write(
          `\n[peers] SKIPPED for want of a mirror (${why}): ${title}\n        bring it with: ${another}\n`,
        );
        noteSkipped({ title, name: 'a Debian mirror', missing: why, command: another });
        return skip(why);
      };
      const why = await unfit(mirror, suites[release]!, kernelRelease(kernel));
      if (why) return skipped(why);

      const key = join(folder, 'key');
      await runOk('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
      const tftp = await netbootFolder({
        folder,
        key: readFileSync(`${key}.pub`, 'utf8'),
        append: [
          `mirror/http/hostname string 10.0.2.2:${mirror.port}`,
          `apt-setup/security_host string 10.0.2.2:${mirror.port}`,
          'debian-installer/exit/poweroff boolean true',
        ],
      }, `ipv6.disable=1 log_host=10.0.2.2 log_port=${syslog.port}`);
      const disk = blankDisk(folder, 20);
      const netboot = { folder: tftp, file: bootFile[firmware] };
      const options = { folder, firmware, disk, mac, netboot };
      const began = Date.now();
      const note = (what: string) => {
        const seconds = Math.round((Date.now() - began) / 1000);
        process.stderr.write(`[installer] Debian ${release}, ${firmware}: ${what}, ${seconds} s\n`);
      };

      {
        await using machine = await startMachine(options);
        const reached = async (step: string) => {
          await reaches(machine, syslog.text, `Menu item '${step}' selected`, () => {
            const lacking = [...mirror.refused.keys()].find((path) => path.endsWith('.udeb'));
            if (lacking) skipped(`it has no ${lacking} of Debian ${release}`);
          });
          note(step);
        };
        for (const step of ['partman-base', 'bootstrap-base']) await reached(step);
        await machine.screenshot(screen(firmware));
        expect(syslog.text()).toContain(`hackspace: pve1: ${firmware}, installing on /dev/vda`);
        const { partitiontable } = JSON.parse(await runOk('sfdisk', ['--json', disk]));
        expect(partitiontable).toMatchObject({
          label: 'gpt',
          partitions: [{ type: boot[firmware] }, {}, { type: lvm }],
        });
        if (process.env.HACKSPACE_INSTALL === 'partitions') return;
        for (const step of ['pkgsel', 'finish-install']) await reached(step);
        await machine.off;
        note('off');
      }
      await firstBoot(options, key, note);
    },
  );
});

/** Waits for `words` in what `text` gives, as long as it grows: a question on the screen is silence. */
async function reaches(
  machine: Machine,
  text: () => string,
  words: string,
  meanwhile: () => void,
): Promise<void> {
  let length = 0, grown = Date.now();
  while (!text().includes(words)) {
    meanwhile();
    if (text().length > length) [length, grown] = [text().length, Date.now()];
    if (Date.now() - grown > minutes(20)) {
      await fail(machine, `Cannot get to ${words}: nothing more after\n${text().slice(-2000)}`);
    }
    await sleep(2000);
  }
}

/** The new system, from its own disk though the network still offers: who it is, who may log in, and that Proxmox is next. */
async function firstBoot(
  options: MachineOptions,
  key: string,
  note: (what: string) => void,
): Promise<void> {
  const { folder, firmware } = options;
  using reserved = await reservePort();
  await using machine = await startMachine({ ...options, sshPort: reserved.port });
  const ssh = (command: string) => {
    const known = ['-o', 'StrictHostKeyChecking=no', '-o', `UserKnownHostsFile=${folder}/known`];
    const way = ['-i', key, '-p', `${reserved.port}`, '-o', 'BatchMode=yes', ...known];
    return run('ssh', [...way, '-o', 'ConnectTimeout=20', 'root@127.0.0.1', command], {
      timeoutMs: minutes(5),
    });
  };
  const deadline = Date.now() + minutes(30);
  while ((await ssh('true')).code !== 0) {
    if (Date.now() > deadline) await fail(machine, `Cannot log in: ${(await ssh('true')).stderr}`);
    await sleep(5000);
  }
  note('root logged in by key');
  await machine.screenshot(screen(`${firmware}-first-boot`));
  const said = async (command: string) => (await ssh(command)).stdout.trim();
  expect(await said('hostname --fqdn')).toBe('pve1.hackspace.example');
  expect(await said('hostname --ip-address')).toBe('10.0.2.15');
  expect(await said('ip -brief address show vmbr0')).toContain(' 10.0.2.15/24');
  expect(await said('bridge link show')).toMatch(/ enuplink0: .* master vmbr0 /);
  expect(await said('lvs --noheadings -o lv_name pve | xargs')).toBe('root swap');
  expect(await said('passwd --status root')).toMatch(/^root L/);
  expect(await said('sshd -T | grep -E "^(passwordauth|permitroot)" | sort | xargs')).toBe(
    'passwordauthentication no permitrootlogin without-password',
  );
  expect(await said('[ -d /sys/firmware/efi ] && echo uefi || echo bios')).toBe(firmware);
  // Where Proxmox' archive cannot be reached it fails, and is tried again at the next boot.
  expect(await said('systemctl is-enabled proxmox-install')).toBe('enabled');
  note(`proxmox-install: ${await said('systemctl is-active proxmox-install')}`);
}

async function fail(machine: Machine, why: string): Promise<never> {
  const file = join(tmpdir(), `installer-${process.pid}.png`);
  await machine.screenshot(file);
  throw new Error(`${why}\nIts screen is in ${file}`);
}
