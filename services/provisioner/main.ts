import { parseArgs } from 'node:util';
import { createMetrics } from '@hackspace/kit/metrics.ts';
import { describe } from '@hackspace/kit/errors.ts';
import { getLogger, setupLogging } from '@hackspace/kit/log.ts';
import { runUntilSignal, serve } from '@hackspace/kit/serve.ts';
import { createApp } from './app.ts';
import { bearerAuth } from './auth/bearer.ts';
import { load } from './config.ts';
import { idempotency } from './idempotency.ts';
import { openPortal } from './pages/open.ts';
import { openService } from './service.ts';

const { values } = parseArgs({ options: { config: { type: 'string' } } });
setupLogging({ service: 'provisioner' });
const log = getLogger(['provisioner']);

await runUntilSignal('provisioner', async () => {
  const loaded = await load(values.config ?? process.env.CONFIG ?? 'config.yaml');
  const { config } = loaded;
  const service = await openService(loaded);
  const metrics = createMetrics('provisioner');
  const portal = config.portal && await openPortal(config, service);
  const app = createApp(config, {
    ...service,
    metrics,
    authenticate: bearerAuth(config.api),
    ...(portal ? { errorPage: portal.errorPage } : {}),
  });
  portal?.mount(app);
  await service.membership.selfTest().catch((error) => {
    log.error('nobody can be admitted until this is mended', { error: describe(error) });
  });
  const served = await serve(app, config.listen);
  const purge = idempotency(service.state);
  const look = () => {
    service.sweep.runIfDue().catch((error) =>
      log.error('sweep failed', { error: describe(error) })
    );
    purge.purge().catch((error) => log.warn('purge failed', { error: describe(error) }));
  };
  const { every } = config.sweep;
  const timer = every > 0 ? setInterval(look, Math.min(every, 300_000)) : undefined;
  return {
    url: served.url,
    async close() {
      clearInterval(timer);
      await served.close();
      await service.close();
    },
  };
});
