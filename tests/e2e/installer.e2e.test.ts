/**
 * Debian's installer for real, in software emulation: the remastered image boots under both firmwares, and an unattended
 * installation gets to the end of partitioning. Takes many minutes. HACKSPACE_INSTALL=full goes on to the end.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type Firmware, startMachine, startSyslog } from '../infra/machine.ts';
import { startMirror } from '../infra/mirror.ts';
import { syntheticNetinst } from '../infra/netinst.ts';
import { runOk } from '../peers/lib/run.ts';
import { needs } from '../peers/lib/needs.ts';
import { openSandbox } from '../peers/lib/sandbox.ts';
import { netbootImages } from '../peers/machines.ts';

const cli = fileURLToPath(new URL('../../preseed/cli.ts', import.meta.url));
const screenshots = fileURLToPath(new URL('../../docs/screenshots', import.meta.url));
const mac = '52:54:00:00:10:11';
const minutes = (n: number) => n * 60_000;
const firmwares: Firmware[] = ['bios', 'uefi'];

/** What the command line makes of an installer, for the machine that qemu is. */
async function remaster(
  folder: string,
  kind: 'iso' | 'initrd',
  from: string,
  append: string,
): Promise<string> {
  const to = join(folder, `made.${kind}`);
  writeFileSync(join(folder, 'keys'), `ssh-ed25519 ${'A'.repeat(68)} test\n`);
  writeFileSync(
    join(folder, 'hosts.tsv'),
    `${mac}\tpve1\t10.0.2.15/24\t10.0.2.2\t10.0.2.3\thackspace.example\t8\n`,
  );
  writeFileSync(join(folder, 'append.cfg'), append);
  const files = [
    '--keys',
    join(folder, 'keys'),
    '--hosts',
    join(folder, 'hosts.tsv'),
    '--append',
    join(folder, 'append.cfg'),
  ];
  await runOk(process.execPath, [cli, kind, '--in', from, '--out', to, ...files], {
    timeoutMs: minutes(5),
  });
  return to;
}

needs('iso-tools', 'qemu', 'debian-installer')('the remastered image', () => {
  test.each(firmwares)(
    'boots under %s with nobody at the keyboard, and reads its preseed',
    async (firmware) => {
      await using sandbox = await openSandbox(`iso-${firmware}`);
      const { folder } = sandbox;
      const { kernel, initrd } = netbootImages()!;
      const told =
        'if [ -d /sys/firmware/efi ]; then f=uefi; else f=bios; fi; echo preseed read under $f > /dev/ttyS0; poweroff -f';
      const iso = await remaster(
        folder,
        'iso',
        await syntheticNetinst(folder, kernel, initrd),
        `d-i preseed/early_command string ${told}\n`,
      );
      await using machine = await startMachine({ folder, firmware, cdrom: iso });
      await Promise.race([machine.off, sleep(minutes(8), undefined, { ref: false })]);
      expect(machine.serial()).toContain(`preseed read under ${firmware}`);
    },
    minutes(10),
  );
});

needs('qemu', 'debian-installer')('the installer', () => {
  describe.each(firmwares)('under %s', (firmware) => {
    test('partitions the blank disk by itself', async (context) => {
      await using sandbox = await openSandbox(`install-${firmware}`);
      await using mirror = await startMirror();
      await using syslog = await startSyslog();
      const { folder } = sandbox;
      const { release, kernel, initrd } = netbootImages()!;
      const made = await remaster(
        folder,
        'initrd',
        initrd,
        [
          `d-i mirror/http/hostname string 10.0.2.2:${mirror.port}`,
          `d-i apt-setup/security_host string 10.0.2.2:${mirror.port}`,
          'd-i debian-installer/allow_unauthenticated boolean true',
          'd-i debian-installer/exit/poweroff boolean true',
          '',
        ].join('\n'),
      );
      const disk = join(folder, 'disk.raw');
      writeFileSync(disk, '');
      truncateSync(disk, 20 * 2 ** 30);
      const append =
        `auto=true priority=critical ipv6.disable=1 log_host=10.0.2.2 log_port=${syslog.port}`;
      const began = Date.now();
      await using machine = await startMachine({
        folder,
        firmware,
        disk,
        mac,
        linux: { kernel, initrd: made, append },
      });

      const wanted = process.env.HACKSPACE_INSTALL === 'full'
        ? "'finish-install' selected"
        : "'bootstrap-base' selected";
      while (!syslog.text().includes(wanted)) {
        const missing = [...mirror.refused.keys()].filter((path) => path.endsWith('.udeb'));
        if (missing.length > 0) {
          const why = `this machine's mirror lacks ${
            missing.join(', ')
          } of Debian ${release}'s installer`;
          process.stderr.write(`\n[peers] SKIPPED under ${firmware}: ${why}\n`);
          return context.skip(why);
        }
        if (Date.now() - began > minutes(50)) {
          throw new Error(`Cannot install: nothing more after\n${syslog.text().slice(-2000)}`);
        }
        await sleep(2000);
      }
      mkdirSync(screenshots, { recursive: true });
      const screen = join(folder, 'screen.png');
      await machine.screenshot(screen);
      copyFileSync(screen, join(screenshots, `installer-${firmware}.png`));
      process.stderr.write(
        `[installer] ${firmware}: ${wanted} after ${Math.round((Date.now() - began) / 1000)} s\n`,
      );
      expect(syslog.text()).toContain(`hackspace: pve1: ${firmware}, installing on /dev/vda`);
      const table = JSON.parse(spawnSync('sfdisk', ['--json', disk], { encoding: 'utf8' }).stdout)
        .partitiontable;
      const boot = firmware === 'uefi'
        ? 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B'
        : '21686148-6449-6E6F-744E-656564454649';
      expect(table).toMatchObject({
        label: 'gpt',
        partitions: [{ type: boot }, {}, { type: 'E6D6D379-F507-44C2-A23C-238F2A3DF928' }],
      });
    }, minutes(60));
  });
});
