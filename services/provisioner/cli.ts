import { readFile } from 'node:fs/promises';
import { printConfig } from '@hackspace/kit/config.ts';
import { describe } from '@hackspace/kit/errors.ts';
import { setupLogging } from '@hackspace/kit/log.ts';
import { Command, InvalidArgumentError } from 'commander';
import { parse } from 'yaml';
import { adopt, ownersSchema } from './adopt.ts';
import { load, loadPolicy } from './config.ts';
import { openService, type Service } from './service.ts';
import { newRecord } from './tenant/record.ts';
import { render } from './tenant/render.ts';
import { parse as parseInput, parseTenant } from './tenant/tenant.ts';
import { rewrite, verify } from './verify.ts';

const print = (line: string) => void process.stdout.write(`${line}\n`);
// `… | head` has read enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});
const count = (text: string) => {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('must be a whole number.');
  return Number(text);
};
const program = new Command('provisioner').description('gives members space by commits').option(
  '--config <file>',
  'the YAML config',
  process.env.CONFIG ?? 'config.yaml',
);

/** Runs with everything of the config open, and closes it whatever happens. */
async function withService(
  work: (service: Service, loaded: Awaited<ReturnType<typeof load>>) => Promise<void>,
) {
  const loaded = await load(program.opts<{ config: string }>().config);
  const service = await openService(loaded);
  try {
    await work(service, loaded);
  } finally {
    await service.close();
  }
}

program.command('check')
  .description('print the effective config; --live asks everything it names')
  .option('--live', 'ask everything that the config names, and wake Flux once')
  .action(async ({ live }: { live?: boolean }) => {
    const { config } = await load(program.opts<{ config: string }>().config);
    print(printConfig(config).trimEnd());
    if (!live) return;
    await withService(async ({ checks }) => {
      for (const [what, ask] of checks) {
        try {
          print(`ok      ${what}: ${await ask()}`);
        } catch (error) {
          print(`FAILED  ${what}: ${describe(error)}`);
          process.exitCode = 1;
        }
      }
    });
  });

program.command('render')
  .description('print the files of a tenant without committing anything')
  .argument('<file>', 'a tenant as YAML or JSON: name, plan, repository')
  .option('--policy <file>', 'the policy file, instead of the config’s')
  .option('--sub <sub>', 'the owner', 'nobody')
  .action(async (file: string, options: { policy?: string; sub: string }) => {
    const policy = options.policy
      ? await loadPolicy(options.policy)
      : (await load(program.opts<{ config: string }>().config)).policy;
    const input = parseTenant(parse(await readFile(file, 'utf8')), policy);
    const record = newRecord(input, { iss: 'https://login.invalid', sub: options.sub }, Date.now());
    for (const [path, bytes] of render(record, policy)) {
      if (path.endsWith('.yaml')) {
        print(`---\n# ${path}\n${new TextDecoder().decode(bytes).trimEnd()}`);
      }
    }
  });

program.command('sweep')
  .description('walk every tenant: ask who pays, take the steps that are due')
  .option('--dry-run', 'say what would happen')
  .option('--override <n>', 'let exactly this many lapses through an open breaker', count)
  .action((options: { dryRun?: boolean; override?: number }) =>
    withService(async (service) => {
      const report = await service.sweep.run(options);
      const { yes, no, unknown } = report.answers;
      print(`${report.tenants} tenants: ${yes} paying, ${no} not, ${unknown} unknown`);
      for (const { name, from, to, why } of report.steps) {
        print(`${name}: ${from} -> ${to}, ${why}`);
      }
      for (const fault of report.faults) print(`FAULT ${fault}`);
      if (report.breaker.open) {
        const { count, limit } = report.breaker;
        print(`BREAKER OPEN: ${count} would lapse at once, ${limit} are credible; nothing lapsed`);
      }
      if (report.breaker.open || report.faults.length > 0) process.exitCode = 1;
    })
  );

program.command('import')
  .description('adopt the tenants of an existing repo: folders below tenants/ without a record')
  .requiredOption('--owners <file>', 'YAML: name -> {iss, sub, plan?}')
  .option('--dry-run', 'say what would happen')
  .option('--move', 'let Flux delete namespaces that have another name than ours')
  .action((options: { owners: string; dryRun?: boolean; move?: boolean }) =>
    withService(async (service, { config, policy }) => {
      const file = parse(await readFile(options.owners, 'utf8'));
      const owners = parseInput(ownersSchema, file, `Cannot read ${options.owners}`);
      const adoptions = await adopt(service.store, policy, owners, {
        dryRun: options.dryRun ?? false,
        move: options.move ?? false,
        committer: config.committer,
        now: Date.now(),
      });
      for (const { name, what, ok } of adoptions) {
        print(`${name}: ${what}`);
        if (!ok) process.exitCode = 1;
      }
    })
  );

program.command('verify')
  .description('compare each tenant of the repo with what render would write')
  .option('--write', 'commit what differs as the policy says now')
  .action((options: { write?: boolean }) =>
    withService(async (service, { config, policy }) => {
      const drift = await verify(await service.store.snapshot(), policy);
      for (const { path, what } of drift) print(`${path}: ${what}`);
      if (drift.length === 0) print('every tenant is what the policy says');
      else if (options.write) {
        const names = drift.filter((d) => d.name && d.what !== 'has no record; see `import`');
        const done = await rewrite(
          service.store,
          policy,
          names.map((d) => d.name),
          config.committer,
        );
        for (const name of done) print(`${name}: rendered again`);
      } else process.exitCode = 1;
    })
  );

setupLogging({
  service: 'provisioner',
  level: 'warning',
  write: (line) => process.stderr.write(`${line}\n`),
});
try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`provisioner: ${describe(error)}\n`);
  process.exitCode = 1;
}
