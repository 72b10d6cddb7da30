/**
 * An OCI runtime for machines whose root lacks a capability (as root in a container does): `--privileged`
 * asks for all of them, and runc refuses to give what it does not have. This one takes those out of the
 * request and then is runc. It grants nothing.
 */
import { readFileSync, writeFileSync } from 'node:fs';

/** Names by bit number, linux/capability.h. */
const names =
  ('CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE ' +
    'NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT ' +
    'SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE ' +
    'AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ ' +
    'PERFMON BPF CHECKPOINT_RESTORE').split(' ');

/** What this process may not do though it is root. */
export function lackingCapabilities(): string[] {
  const status = readFileSync('/proc/self/status', 'utf8');
  const has = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
  return names.filter((_, bit) => (has >> BigInt(bit) & 1n) === 0n).map((name) => `CAP_${name}`);
}

/** Writes the runtime as a program of its own. */
export function writeRuntime(path: string, runc: string, lacking: string[]): void {
  const script = `#!${process.execPath}
const { execve } = process, fs = require('node:fs'), { spawnSync } = require('node:child_process');
const args = process.argv.slice(2);
const flag = args.findIndex((a) => a === '--bundle' || a === '-b' || a.startsWith('--bundle='));
const bundle = flag < 0 ? '.' : args[flag].split('=')[1] ?? args[flag + 1];
if (args.includes('create') || args.includes('run')) {
  const file = bundle + '/config.json', config = JSON.parse(fs.readFileSync(file, 'utf8'));
  for (const set of Object.values(config.process?.capabilities ?? {})) {
    for (const name of ${JSON.stringify(lacking)}) {
      if (set.includes(name)) set.splice(set.indexOf(name), 1);
    }
  }
  fs.writeFileSync(file, JSON.stringify(config));
}
if (execve) execve(${JSON.stringify(runc)}, [${JSON.stringify(runc)}, ...args], process.env);
process.exit(spawnSync(${JSON.stringify(runc)}, args, { stdio: 'inherit' }).status ?? 1);
`;
  writeFileSync(path, script, { mode: 0o755 });
}
