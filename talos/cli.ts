/** `node talos/cli.ts`: secrets made and kept outside git, machine configurations rendered from them. */
import { execFile } from 'node:child_process';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { AppError, describe } from '@hackspace/kit/errors.ts';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { readSite, siteFile } from '../infra/site.ts';
import { leaksIn, secretValues } from './leaks.ts';
import { newSecrets, refuseInsideGit, render } from './render.ts';
import { seal, unseal } from './sealed.ts';
import { talosctlAt } from './talosctl.ts';

const usage = `node talos/cli.ts COMMAND
  identity    --out FILE                                  a new age identity; prints its recipient
  new-secrets --recipient age1… [--recipient …] --out FILE     a new cluster's secrets, encrypted
  render      --secrets FILE --identity FILE --out FOLDER [--site FILE]
  check       [--secrets FILE --identity FILE]            is any secret in this git work tree?
The site is site.yaml, before there is one site.example.yaml.
talosctl is taken from TALOSCTL, else from PATH.
`;
const folder = dirname(fileURLToPath(import.meta.url));
const root = dirname(folder);
const out = (line: string) => void process.stdout.write(`${line}\n`);

async function main(): Promise<number> {
  const { values, positionals: [command] } = parseArgs({
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      out: { type: 'string' },
      recipient: { type: 'string', multiple: true, default: [] },
      secrets: { type: 'string' },
      identity: { type: 'string' },
      site: { type: 'string', default: siteFile(root) },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const need = (name: 'out' | 'secrets' | 'identity'): string => {
    const value = values[name];
    if (!value) throw new AppError('invalid', `Cannot ${command}: --${name} is missing`);
    return value;
  };
  const talosctl = talosctlAt(process.env.TALOSCTL ?? 'talosctl');

  switch (command) {
    case 'identity': {
      const identity = await generateIdentity();
      const recipient = await identityToRecipient(identity);
      await fresh(need('out'), `# public: ${recipient}\n${identity}\n`);
      out(recipient);
      return 0;
    }
    case 'new-secrets': {
      if (values.recipient.length === 0) {
        throw new AppError('invalid', 'Cannot new-secrets: --recipient is missing');
      }
      const file = need('out');
      refuseInsideGit(file);
      if (await stat(file).catch(() => undefined)) {
        throw new AppError(
          'conflict',
          `Cannot write ${file}: it exists, and it may be a cluster's only secrets`,
        );
      }
      const site = await readSite(values.site);
      await seal(await newSecrets(talosctl, site['member-prod'].talos), values.recipient, file);
      out(`${file}: secrets for a new cluster, for ${values.recipient.length} recipients`);
      return 0;
    }
    case 'render': {
      const to = need('out');
      const secrets = await unseal(need('secrets'), need('identity'));
      const site = await readSite(values.site);
      const nodes = await render({ site, folder, secrets, out: to, talosctl });
      for (const node of nodes) out(`${join(to, `${node}.yaml`)}: valid`);
      out(`${join(to, 'talosconfig')}: endpoints set`);
      return 0;
    }
    case 'check': {
      const secrets = values.secrets
        ? secretValues(await unseal(values.secrets, need('identity')))
        : [];
      const found = await check(secrets);
      for (const line of found) out(line);
      return found.length > 0 ? 1 : 0;
    }
    default:
      process.stderr.write(usage);
      return 2;
  }
}

/** Of every file that git tracks or would add. */
async function check(values: string[]): Promise<string[]> {
  const exec = promisify(execFile);
  const { stdout } = await exec('git', [
    'ls-files',
    '-z',
    '--cached',
    '--others',
    '--exclude-standard',
  ], {
    cwd: process.cwd(),
    maxBuffer: 64 << 20,
  });
  const lines: string[] = [];
  for (const file of stdout.split('\0').filter((name) => name !== '')) {
    const text = await readFile(file, 'latin1').catch(() => '');
    // Test files hold made-up examples of the patterns; real values are looked for in them too.
    const found = leaksIn(text, values).filter((what) =>
      what.startsWith('a value') || !/\.test\.ts$|(^|\/)tests\/|^kit\//.test(file)
    );
    for (const what of found) lines.push(`${file}: ${what}`);
  }
  if (lines.length === 0) {
    out(`none of ${values.length} values and no private key is in the work tree`);
  }
  return lines;
}

async function fresh(file: string, text: string): Promise<void> {
  refuseInsideGit(file);
  await writeFile(file, text, { mode: 0o600, flag: 'wx' });
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${describe(error)}\n`);
  process.exitCode = 1;
}
