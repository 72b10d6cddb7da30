/** A PC that qemu is, by KVM where the processor lends itself and in software elsewhere: its screen and its end. */
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

export type Firmware = 'bios' | 'uefi';

export interface MachineOptions {
  /** A private folder: sockets, and what the firmware remembers from one start to the next. */
  folder: string;
  firmware: Firmware;
  /** Raw image of its only fixed disk. */
  disk?: string;
  cdrom?: string;
  /** Of the card on user-mode network; none without. */
  mac?: string;
  /** Offered to that card: a TFTP folder, and which file in it to start. A disk that boots comes first. */
  netboot?: { folder: string; file: string };
  /** Port of this loopback that leads to the guest's ssh. */
  sshPort?: number;
}

export interface Machine extends AsyncDisposable {
  /** What came over its serial line. */
  serial(): string;
  screenshot(file: string): Promise<void>;
  /** Resolves when it has switched itself off. */
  off: Promise<void>;
}

/** The path of a raw image of nothing, which takes no room yet. */
export function blankDisk(folder: string, gib: number): string {
  const disk = join(folder, 'disk.raw');
  writeFileSync(disk, '');
  truncateSync(disk, gib * 2 ** 30);
  return disk;
}

/**
 * `kvm` where this user may open `device` and the processor says it can host. Both, for a container may have a /dev/kvm that
 * qemu takes without complaint and on which Debian's kernel never comes up.
 */
export function accelerator(device = '/dev/kvm', cpuinfo = '/proc/cpuinfo'): 'kvm' | 'tcg' {
  try {
    accessSync(device, constants.R_OK | constants.W_OK);
    return /^flags\s*:.* (vmx|svm)( |$)/m.test(readFileSync(cpuinfo, 'latin1')) ? 'kvm' : 'tcg';
  } catch {
    return 'tcg';
  }
}

export async function startMachine(options: MachineOptions): Promise<Machine> {
  const { folder, firmware, disk, cdrom, mac, netboot, sshPort } = options;
  const [serial, qmp, vars] = ['serial', 'qmp', 'vars.fd'].map((name) =>
    join(folder, `${firmware}-${name}`)
  ) as [string, string, string];
  const accel = accelerator();
  process.stderr.write(`[machine] ${firmware} on ${accel}\n`);
  const args = ['-machine', 'q35', '-smp', '2', '-m', '2048'];
  args.push(
    ...(accel === 'kvm'
      ? ['-accel', 'kvm', '-cpu', 'host']
      : ['-accel', 'tcg,thread=multi', '-cpu', 'qemu64']),
  );
  args.push(
    '-display',
    'none',
    '-vga',
    'std',
    '-no-reboot',
    '-serial',
    `file:${serial}`,
    '-qmp',
    `unix:${qmp},server=on,wait=off`,
  );
  if (firmware === 'uefi') {
    if (!existsSync(vars)) copyFileSync('/usr/share/OVMF/OVMF_VARS_4M.fd', vars);
    args.push('-drive', 'if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd');
    args.push('-drive', `if=pflash,format=raw,file=${vars}`);
  }
  if (disk) {
    args.push('-drive', `id=disk,file=${disk},format=raw,if=none,cache=unsafe,discard=unmap`);
    args.push('-device', 'virtio-blk-pci,drive=disk,serial=BLANK0001,bootindex=1');
  }
  if (cdrom) args.push('-cdrom', cdrom, '-boot', 'd');
  if (mac) {
    const tftp = netboot ? `,tftp=${netboot.folder},bootfile=${netboot.file}` : '';
    const ssh = sshPort ? `,hostfwd=tcp:127.0.0.1:${sshPort}-10.0.2.15:22` : '';
    args.push('-netdev', `user,id=net${tftp}${ssh}`);
    // OVMF has its own PXE, like the firmware of a real machine; with qemu's old iPXE instead, Debian's shim takes GRUB for damaged.
    const rom = firmware === 'uefi' ? ',romfile=' : '';
    const order = netboot ? ',bootindex=2' : '';
    args.push('-device', `virtio-net-pci,netdev=net,mac=${mac}${rom}${order}`);
  } else args.push('-net', 'none');

  const child = spawn('nice', ['-n', '10', 'qemu-system-x86_64', ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (part) => void (said += part));
  const off = new Promise<void>((done, fail) => {
    child.once('error', fail);
    child.once(
      'exit',
      (code, signal) =>
        code === 0 || signal ? done() : fail(new Error(`qemu ended with ${code}: ${said}`)),
    );
  });
  off.catch(() => {});
  return {
    off,
    serial: () => existsSync(serial) ? readFileSync(serial, 'latin1') : '',
    screenshot: (file) =>
      ask(qmp, { execute: 'screendump', arguments: { filename: file, format: 'png' } }),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await off.catch(() => {});
    },
  };
}

/** One command to qemu's monitor (QMP), and its answer. */
function ask(path: string, command: object): Promise<void> {
  return new Promise((done, fail) => {
    const socket = connect(path);
    let answer = '';
    socket.setTimeout(30_000, () => socket.destroy(new Error('qemu does not answer')));
    socket.on('error', fail);
    socket.on(
      'connect',
      () => socket.write(`{"execute":"qmp_capabilities"}\n${JSON.stringify(command)}\n`),
    );
    socket.on('data', (part) => {
      answer += part;
      if (/"error"/.test(answer)) fail(new Error(answer));
      else if ((answer.match(/"return"/g)?.length ?? 0) < 2) return;
      else done();
      socket.end();
    });
  });
}

/** The log of an installer that was started with log_host=10.0.2.2 log_port=PORT: the guest's way to this loopback. */
export async function startSyslog(): Promise<AsyncDisposable & { port: number; text(): string }> {
  const socket = createSocket('udp4');
  let text = '';
  socket.on('message', (line) => void (text += `${line}\n`));
  await new Promise<void>((done) => socket.bind(0, '127.0.0.1', done));
  return {
    port: (socket.address() as AddressInfo).port,
    text: () => text,
    [Symbol.asyncDispose]: () => new Promise<void>((done) => socket.close(() => done())),
  };
}
