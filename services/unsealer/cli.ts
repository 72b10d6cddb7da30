/** `enroll`, `check`, `status`, `hold`, `lift`, `doctor`: what an operator types. Shares come by stdin only. */
import { Command, CommanderError } from 'commander';
import { open, readFile } from 'node:fs/promises';
import { parseAllDocuments } from 'yaml';
import { apiClient, bodyOf } from '@hackspace/kit/client.ts';
import { printConfig } from '@hackspace/kit/config.ts';
import { AppError } from '@hackspace/kit/errors.ts';
import { setupLogging } from '@hackspace/kit/log.ts';
import { readSecret } from '@hackspace/kit/secret.ts';
import { openState } from '@hackspace/kit/state.ts';
import type { UnsealerApi } from './app.ts';
import { openEnds } from './bridge/api.ts';
import { examine } from './bridge/doctor.ts';
import type { Finding } from './bridge/findings.ts';
import { examineStore } from './bridge/secretstore.ts';
import { type Config, readConfig } from './config.ts';
import { readCa } from './pinned.ts';
import { fingerprint, parseShare, sealShare } from './shares.ts';
import { forbidCoreDumps, lockOf, planOf } from './plan.ts';

const out = (text: string) => void process.stdout.write(text + '\n');

/** Reads stdin to its end into memory that can be zeroed. */
async function readStdin(limit: number): Promise<Uint8Array> {
  const whole = new Uint8Array(limit);
  let size = 0;
  for await (const part of process.stdin as AsyncIterable<Uint8Array>) {
    if (size + part.length > limit) {
      throw new AppError(
        'invalid',
        `Cannot read share: more than ${limit} bytes on standard input`,
      );
    }
    whole.set(part, size);
    size += part.length;
    part.fill(0);
  }
  return whole.subarray(0, size);
}

function clusterOf(config: Config, id: string) {
  const cluster = config.clusters[id];
  if (cluster) return cluster;
  const known = Object.keys(config.clusters).join(', ');
  throw new AppError('invalid', `Cannot find cluster ${id} in the config: it names ${known}`);
}

async function enroll(options: { config: string; cluster: string; out?: string; force?: true }) {
  if (process.stdin.isTTY) {
    throw new AppError('invalid', 'Cannot read share: pipe it in, `enroll … < share`');
  }
  const config = await readConfig(options.config);
  const cluster = clusterOf(config, options.cluster);
  const target = options.out ?? cluster.shareFiles[0]!;
  const text = await readStdin(4096);
  const share = parseShare(text, cluster.shares);
  try {
    const pins = {
      clusterId: cluster.clusterId,
      threshold: cluster.threshold,
      shares: cluster.shares,
    };
    const jwe = await sealShare(share, pins, lockOf(cluster));
    const flags = options.force ? 'w' : 'wx';
    const file = await open(target, flags, 0o600).catch((cause) => {
      const reason = cause.code === 'EEXIST'
        ? 'it is there already (--force replaces it)'
        : cause.code;
      throw new AppError('conflict', `Cannot write share file ${target}: ${reason}`, { cause });
    });
    await file.writeFile(jwe + '\n');
    await file.sync();
    await file.close();
    out(`enrolled ${target}`);
    out(
      `cluster ${pins.clusterId}, ${pins.threshold} of ${pins.shares}, fingerprint ${
        fingerprint(share)
      }`,
    );
  } finally {
    share.fill(0);
    text.fill(0);
  }
}

/** A running unsealer's API; on loopback or where `--url` says. */
async function connect(options: Reach) {
  const config = await readConfig(options.config);
  const { host, port } = config.listen;
  const url = options.url ?? `http://${host === '0.0.0.0' ? '127.0.0.1' : host}:${port}`;
  const tokenFile = options.tokenFile ?? config.callers.operators?.tokenFile;
  return apiClient<UnsealerApi>({
    name: `the unsealer at ${url}`,
    url,
    token: tokenFile ? await readSecret(tokenFile) : undefined,
    timeoutMs: 60_000,
  });
}

/** 0: all open. 1: something is not open. 2: on hold. 3: a share was disclosed. */
async function status(options: Reach & { json?: true }) {
  const seen = await bodyOf('see the status', (await connect(options)).status.$get());
  if (options.json) out(JSON.stringify(seen, null, 2));
  else {
    for (const node of seen.nodes) {
      out(`${node.cluster}/${node.node}\t${node.state}\tsince ${node.since}\t${node.text}`);
    }
    for (const reason of seen.reasons) out(`on hold: ${reason}`);
    for (const text of seen.disclosed) out(`DISCLOSED: ${text}`);
  }
  process.exitCode = seen.disclosed.length ? 3 : seen.held ? 2 : seen.open ? 0 : 1;
}

async function check(options: { config: string }) {
  const config = await readConfig(options.config);
  for (const [id, cluster] of Object.entries(config.clusters)) {
    await readCa(cluster.caFile);
    const { shares } = await planOf(id, cluster);
    out(
      `# cluster ${id}: ${shares.length} share(s), ${shares.map((s) => s.fingerprint).join(', ')}`,
    );
  }
  out(printConfig(config));
}

/** Makes the real calls itself: no running unsealer is needed. Exit 1 when something is found. */
async function doctor(options: { config: string; manifest?: string; json?: true }) {
  const config = await readConfig(options.config);
  const state = await openState(config.state);
  const findings: Finding[] = [];
  for (const [id, bridge] of Object.entries(config.bridges)) {
    if (options.manifest) {
      for (const document of parseAllDocuments(await readFile(options.manifest, 'utf8'))) {
        findings.push(...examineStore(id, bridge, document.toJS({ maxAliasCount: 20 })));
      }
    }
    const ends = await openEnds(id, bridge);
    findings.push(...await examine(ends, state));
    ends.upstream.close();
    ends.downstream.close();
  }
  await state.close();
  if (options.json) out(JSON.stringify(findings, null, 2));
  for (const finding of options.json ? [] : findings) {
    const number = finding.failure ? ` (${finding.failure})` : '';
    out(
      `${finding.ok ? 'ok  ' : 'FAIL'} ${finding.bridge} ${finding.name}${number}: ${finding.text}`,
    );
    if (finding.mend) out(`     mend: ${finding.mend}`);
  }
  process.exitCode = findings.every((finding) => finding.ok) ? 0 : 1;
}

interface Reach {
  config: string;
  url?: string;
  tokenFile?: string;
}

function program(): Command {
  const cli = new Command('unsealer').description('Opens OpenBao nodes that were restarted');
  // Commander's own errors quote what was typed, and that may be a share.
  cli.exitOverride().configureOutput({ outputError: () => {} });
  const command = (name: string, about: string) =>
    cli.command(name).description(about).requiredOption('--config <file>', 'the YAML config');
  const remote = (name: string, about: string) =>
    command(name, about).option('--url <url>', 'where the unsealer listens')
      .option('--token-file <file>', 'an operator token');
  command('enroll', 'seal a share from standard input into the share file')
    .requiredOption('--cluster <id>', 'the cluster it is for')
    .option('--out <file>', 'another file than the first of shareFiles')
    .option('--force', 'replace a share file')
    .action(enroll);
  command('check', 'check config, CA and share files; print the config').action(check);
  remote('status', 'each node; exit 1 not open, 2 on hold, 3 a share was disclosed')
    .option('--json', 'as JSON').action(status);
  remote('hold', 'stop sending shares at once')
    .requiredOption('--who <name>').requiredOption('--why <reason>')
    .action(async ({ who, why, ...reach }: Reach & { who: string; why: string }) => {
      const { hold } = await connect(reach);
      out(JSON.stringify(await bodyOf('hold', hold.$put({ json: { who, why } }))));
    });
  remote('lift', 'lift the hold')
    .action(async (reach: Reach) => {
      const { hold } = await connect(reach);
      out(JSON.stringify(await bodyOf('lift the hold', hold.$delete())));
    });
  command('doctor', 'why does a login from the downstream cluster fail? exit 1 when it does')
    .option('--manifest <file>', 'a (Cluster)SecretStore to examine as well')
    .option('--json', 'as JSON').action(doctor);
  return cli;
}

setupLogging({
  service: 'unsealer',
  level: 'warning',
  write: (l) => void process.stderr.write(l + '\n'),
});
await forbidCoreDumps();
try {
  await program().parseAsync();
} catch (error) {
  if (error instanceof CommanderError && error.exitCode === 0) process.exit(0);
  // Other errors may quote what they were given: only ours are shown whole.
  const text = error instanceof AppError
    ? error.message
    : error instanceof CommanderError
    ? `${error.code.replace('commander.', '')}: see --help (shares come by standard input alone)`
    : `${(error as Error).name}, an error of the program`;
  process.stderr.write(`unsealer: ${text}\n`);
  process.exit(error instanceof AppError && error.code === 'unavailable' ? 4 : 5);
}
