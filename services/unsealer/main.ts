import { parseArgs } from 'node:util';
import { setupLogging } from '@hackspace/kit/log.ts';
import { runUntilSignal } from '@hackspace/kit/serve.ts';
import { readConfig } from './config.ts';
import { forbidCoreDumps } from './plan.ts';
import { startUnsealer } from './unsealer.ts';

setupLogging({ service: 'unsealer' });
// The default of SIGUSR1 is to open a debugger, which reads memory.
process.on('SIGUSR1', () => {});
const { values } = parseArgs({ options: { config: { type: 'string' } } });
await runUntilSignal('unsealer', async () => {
  await forbidCoreDumps();
  return await startUnsealer(
    await readConfig(values.config ?? process.env.CONFIG ?? 'config.yaml'),
  );
});
