/** The installer's media in an emulated machine, under both firmwares: from first instruction to a preseed that was read. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { bootFile, mac, makeInstaller, netbootFolder } from '../infra/installer.ts';
import { blankDisk, type Firmware, type MachineOptions, startMachine } from '../infra/machine.ts';
import { syntheticNetinst } from '../infra/netinst.ts';
import { needs } from '../peers/lib/needs.ts';
import { openSandbox } from '../peers/lib/sandbox.ts';
import { netbootImages } from '../peers/machines.ts';

const minutes = (n: number) => n * 60_000;
const firmwares: Firmware[] = ['bios', 'uefi'];

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

needs('iso-tools', 'qemu', 'debian-installer')('with nobody at the keyboard', () => {
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
