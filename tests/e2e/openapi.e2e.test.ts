import { join } from 'node:path';
import { expect, test } from 'vitest';
import { needs } from '../peers/lib/needs.ts';
import { openSandbox } from '../peers/lib/sandbox.ts';
import { schemathesis } from '../peers/schemathesis.ts';
import { memberToken } from '../runtimes/provisioner.ts';
import { smokes } from '../runtimes/smokes.ts';
import { type ServiceName, startService } from '../services.ts';

// Each service as a process, asked by schemathesis what its own OpenAPI promises and what it does not:
// statuses, content types, schemas of answers, methods and headers that are not there, wrong and right
// data, missing credentials; bounded in cases and time.

// deno-lint-ignore no-explicit-any -- a config as it is written
type Raw = any;

interface Asked {
  name: ServiceName;
  token: () => string | Promise<string>;
  adapt(config: Raw): void;
  /**
   * Where more decides than a schema can say: a plan of the policy, a host on its list, a name typed
   * twice, a time in the future. There 400 is right for data that fits the schema.
   */
  decided: string[];
}

const services: Asked[] = [
  {
    name: 'ics-proxy',
    token: () => 'a'.repeat(64),
    adapt() {},
    decided: ['/api/feeds/{feed}/tokens'],
  },
  {
    name: 'provisioner',
    token: () => memberToken(),
    adapt: (config) => void (config.api.rateLimit = { points: 100_000 }),
    decided: ['/api/v1/tenants', '/api/v1/tenants/{name}', '/trigger'],
  },
  {
    name: 'unsealer',
    token: () => 'w'.repeat(64),
    adapt: (config) => void (config.callers.operators = config.callers.wake),
    decided: [],
  },
];

needs('schemathesis')('every service is what its OpenAPI says', () => {
  const cases = services.flatMap((each) => [
    { credentials: 'with', ...each },
    { credentials: 'without', ...each },
  ]);
  test.each(cases)('$name, $credentials credentials', async (each) => {
    const { credentials, name, token, adapt, decided } = each;
    await using sandbox = await openSandbox('openapi');
    const port = await sandbox.port();
    const url = `http://127.0.0.1:${port}`;
    const smoke = smokes.find((each) => each.name === name)!;
    const config = JSON.parse(await smoke.config({ folder: sandbox.folder, port, url }));
    adapt(config);
    await startService(sandbox, name, port, JSON.stringify(config));
    const { code, stdout, stderr } = await schemathesis({
      url,
      folder: join(sandbox.folder, 'schemathesis'),
      headers: credentials === 'with' ? { Authorization: `Bearer ${await token()}` } : {},
      // A stranger gets the same few answers everywhere: each kind of case once is enough.
      args: credentials === 'with' ? [] : ['--phases', 'coverage'],
      without: Object.fromEntries(decided.map((path) => [path, ['positive_data_acceptance']])),
    });
    const said = stdout + stderr;
    expect(code, said).toBe(0);
    // It looked at all of it.
    const [, selected, total] = /Operations: +(\d+) selected \/ (\d+) total/.exec(stdout)!;
    expect(selected).toBe(total);
    expect(Number(total), said).toBeGreaterThan(8);
    const [, cases] = /(\d+) generated/.exec(stdout)!;
    process.stderr.write(`[openapi] ${name} ${credentials}: ${total} operations, ${cases} cases\n`);
    expect(Number(cases)).toBeGreaterThan(50);
  }, 240_000);
});
