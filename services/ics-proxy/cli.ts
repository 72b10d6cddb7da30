import { Command } from 'commander';
import { useCompileCache } from '@hackspace/kit/compile-cache.ts';
import { describe } from '@hackspace/kit/errors.ts';

interface RenderCommand {
  config?: string;
  feed?: string;
  view: string;
}

// Each command loads what it needs when it runs.
const tokens = () => import('./commands/token.ts');

useCompileCache();
const out = (line: string) => void process.stdout.write(line.endsWith('\n') ? line : line + '\n');
const program = new Command('ics-proxy')
  .description('Merged calendar feeds: check the config, hand out tokens, merge files')
  .showHelpAfterError();

program.command('check')
  .description('check the config and print it, redacted')
  .requiredOption('--config <file>', 'the config')
  .option('--live', 'fetch every source once')
  .action(async (options: { config: string; live?: boolean }) => {
    const { check } = await import('./commands/check.ts');
    const result = await check(options);
    out(result.config);
    for (const line of result.lines) process.stderr.write(line + '\n');
    if (!result.ok) process.exitCode = 1;
  });

program.command('render')
  .description(
    'merge files to standard output; what was done to them as JSON lines on standard error',
  )
  .argument('<files...>', 'FILE, or ID=FILE for the policy of source ID')
  .option('--config <file>', 'the config, for the policies of --feed')
  .option('--feed <id>', 'the feed whose policies apply')
  .option('--view <view>', 'full, or busy: when but not what', 'full')
  .action(async (files: string[], options: RenderCommand) => {
    const { renderFiles, reportLines } = await import('./commands/render.ts');
    const { configuredFeed, knownView } = await import('./commands/select.ts');
    const feed = await configuredFeed(options);
    const view = knownView(options.view);
    const result = await renderFiles(files, { feed, view, now: Date.now() });
    process.stdout.write(result.bytes);
    for (const line of reportLines(result)) process.stderr.write(JSON.stringify(line) + '\n');
  });
program.command('explain')
  .description('what merging the files would rename, drop or put aside, and why')
  .argument('<files...>', 'FILE or ID=FILE')
  .action(async (files: string[]) => {
    const { explainFiles } = await import('./commands/explain.ts');
    for (const line of await explainFiles(files, Date.now())) out(line);
  });

const token = program.command('token').description('tokens of subscribers');
token.command('create')
  .description('make a token; prints the feed URL alone')
  .requiredOption('--config <file>', 'the config')
  .requiredOption('--feed <id>', 'the feed')
  .requiredOption('--label <text>', 'whose it is, or where it is used')
  .option('--view <view>', 'full, or busy: when but not what', 'full')
  .option('--expires <when>', 'a time such as 2027-01-31T12:00:00Z, or a span such as 90d')
  .action(async (options) => out(await (await tokens()).createToken(options)));
token.command('list')
  .description('one JSON line a token; never the token itself')
  .requiredOption('--config <file>', 'the config')
  .option('--feed <id>', 'only this feed')
  .action(async (options) => (await (await tokens()).listTokens(options)).forEach(out));
token.command('revoke')
  .description('end a token at once, also in a running server')
  .argument('<id>', 'as shown by list')
  .requiredOption('--config <file>', 'the config')
  .action(async (id: string, options) => await (await tokens()).revokeToken({ id, ...options }));
token.command('rotate')
  .description('replace a token; prints the new feed URL alone')
  .argument('<id>', 'as shown by list')
  .requiredOption('--config <file>', 'the config')
  .option('--overlap <span>', 'how long the old one goes on', '7d')
  .action(async (id: string, options) =>
    out(await (await tokens()).rotateToken({ id, ...options }))
  );

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`ics-proxy: ${describe(error)}\n`);
  process.exitCode = 1;
}
