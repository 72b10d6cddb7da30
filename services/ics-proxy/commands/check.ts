import { dirname, resolve } from 'node:path';
import { printConfig, readSecret } from '@hackspace/kit/config.ts';
import { describe } from '@hackspace/kit/errors.ts';
import { redactText } from '@hackspace/kit/log.ts';
import { parseCalendar } from '../calendar/components.ts';
import { loadIcsConfig } from '../config.ts';
import { createSource } from '../sources/source.ts';

export interface CheckResult {
  ok: boolean;
  /** The effective config, redacted. */
  config: string;
  /** One line a source and trouble. */
  lines: string[];
}

/**
 * Reads the config and its secret files; with `live` fetches every source once, as the server would.
 * Throws AppError `invalid` with every fault when the config itself is wrong.
 */
export async function check(options: { config: string; live?: boolean }): Promise<CheckResult> {
  const config = await loadIcsConfig(options.config);
  const lines: string[] = [];
  let ok = true;
  if (config.admin) {
    try {
      await readSecret(config.admin.tokenFile);
    } catch (error) {
      ok = false;
      lines.push(`fail  admin.tokenFile  ${describe(error)}`);
    }
  }
  if (options.live) {
    const base = dirname(resolve(options.config));
    for (const [feed, { sources }] of Object.entries(config.feeds)) {
      for (const source of sources) {
        const started = performance.now();
        const name = `${feed}/${source.id}`;
        try {
          const result = await createSource(source, { base })
            .fetch(undefined, AbortSignal.timeout(120_000));
          const took = Math.round(performance.now() - started);
          if (result.status !== 'fresh') continue;
          const { components, quarantined } = parseCalendar(result.bytes);
          const aside = quarantined.length ? `, ${quarantined.length} put aside` : '';
          lines.push(
            `ok    ${name}  ${components.length} components, ${result.bytes.length} bytes, ${took} ms${aside}`,
          );
        } catch (error) {
          ok = false;
          lines.push(`fail  ${name}  ${redactText(describe(error))}`);
        }
      }
    }
  }
  return { ok, config: printConfig(config), lines };
}
