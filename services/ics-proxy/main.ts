import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { AppError } from '@hackspace/kit/errors.ts';
import { setupLogging } from '@hackspace/kit/log.ts';
import { runUntilSignal } from '@hackspace/kit/serve.ts';
import { loadIcsConfig } from './config.ts';
import { startService } from './service.ts';

await runUntilSignal('ics-proxy', async () => {
  setupLogging({ service: 'ics-proxy' });
  const { values } = parseArgs({ options: { config: { type: 'string' } } });
  const file = values.config ?? process.env.CONFIG;
  if (!file) throw new AppError('invalid', 'Cannot start: no --config FILE given');
  return await startService(await loadIcsConfig(file), dirname(resolve(file)));
});
