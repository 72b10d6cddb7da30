/** `node preseed/cli.ts`: a Debian installer that needs nobody, as an image for a stick or an initrd for the network. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { AppError, describe } from '@hackspace/kit/errors.ts';
import { payload } from './payload.ts';
import { remaster } from './remaster.ts';

const usage = `node preseed/cli.ts iso    --in debian-13-netinst.iso --out hypervisor.iso OPTIONS
node preseed/cli.ts initrd --in initrd.gz              --out hypervisor-initrd.gz OPTIONS
  --keys FILE                 public ssh keys for root
  --root-password-hash FILE   for root at the console, by: openssl passwd -6
  --hosts FILE                the machines, default preseed/hosts.tsv
  --append FILE               preseed lines that win over hypervisor.cfg
`;

async function main(): Promise<number> {
  const { values, positionals: [command] } = parseArgs({
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      in: { type: 'string' },
      out: { type: 'string' },
      keys: { type: 'string' },
      'root-password-hash': { type: 'string' },
      hosts: { type: 'string' },
      append: { type: 'string' },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  if (command !== 'iso' && command !== 'initrd') {
    process.stderr.write(usage);
    return 2;
  }
  const { in: from, out: to, keys, append } = values;
  if (!from || !to) {
    throw new AppError('invalid', `Cannot make an ${command}: --in and --out are needed`);
  }
  if (from === to) {
    throw new AppError('invalid', `Cannot make an ${command}: --in and --out are the same file`);
  }
  const folder = dirname(fileURLToPath(import.meta.url));
  const hash = values['root-password-hash'];
  const layer = await payload({
    folder,
    hosts: values.hosts ?? join(folder, 'hosts.tsv'),
    ...(keys ? { keys } : {}),
    ...(hash ? { rootPasswordHash: hash } : {}),
    ...(append ? { append } : {}),
  });
  if (command === 'iso') await remaster(from, layer, to);
  else {
    await writeFile(`${to}.new`, Buffer.concat([await readFile(from), layer]));
    await rename(`${to}.new`, to);
  }
  process.stdout.write(
    `${to}: installs without a question on the machines of hosts.tsv, and on no other\n`,
  );
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${describe(error)}\n`);
  process.exitCode = 1;
}
