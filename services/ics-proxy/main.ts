import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { useCompileCache } from '@hackspace/kit/compile-cache.ts';

useCompileCache();
const { AppError } = await import('@hackspace/kit/errors.ts');
const { setupLogging } = await import('@hackspace/kit/log.ts');
const { runUntilSignal } = await import('@hackspace/kit/serve.ts');

await runUntilSignal('ics-proxy', async () => {
  setupLogging({ service: 'ics-proxy' });
  const { values } = parseArgs({ options: { config: { type: 'string' } } });
  const file = values.config ?? process.env.CONFIG;
  if (!file) throw new AppError('invalid', 'Cannot start: no --config FILE given');
  const { loadIcsConfig } = await import('./config.ts');
  const config = await loadIcsConfig(file);
  const { startService } = await import('./service.ts');
  return await startService(config, dirname(resolve(file)));
});
