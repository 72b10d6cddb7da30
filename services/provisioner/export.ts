import { AppError } from '@hackspace/kit/errors.ts';
import type { Secret } from '@hackspace/kit/secret.ts';
import { createTarGzip } from 'nanotar';
import { mkdir, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { postSigned } from './notify/webhook.ts';
import { namespaceOf } from './tenant/names.ts';
import type { TenantRecord } from './tenant/record.ts';

/** A `.tar.gz` of a tenant's files as committed: the same input, the same names, times at 0. */
export async function archiveOf(files: ReadonlyMap<string, Uint8Array>): Promise<Uint8Array> {
  const entries = [...files].map(([name, data]) => ({
    name,
    data,
    attrs: { mtime: 0, mode: '644' },
  }));
  return await createTarGzip(entries);
}

export interface ExporterOptions {
  /** Where archives of manifests are kept. */
  dir: string;
  /**
   * Backs up the data on volumes: called with tenant and namespace, signed; 200 or 204 is done,
   * 202 is begun (asked again at the next sweep). Absent: there is no data to keep, says the admin.
   */
  hook?: { url: string; secret: Secret } | undefined;
}

/** Keeps a tenant's archive. Throws AppError `unavailable` when it is not safely kept (yet). */
export function createExporter(options: ExporterOptions) {
  return async (record: TenantRecord, files: ReadonlyMap<string, Uint8Array>): Promise<void> => {
    const name = `${record.name}-${record.since.replaceAll(':', '')}.tar.gz`;
    try {
      await mkdir(options.dir, { recursive: true, mode: 0o700 });
      const temporary = join(options.dir, `${name}~`);
      const file = await open(temporary, 'w', 0o600);
      try {
        await file.writeFile(await archiveOf(files));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, join(options.dir, name));
    } catch (cause) {
      throw new AppError('unavailable', `Cannot keep the archive of ${record.name}`, { cause });
    }
    if (!options.hook) return;
    const { url, secret } = options.hook;
    const status = await postSigned('the export hook', url, secret, {
      tenant: record.name,
      namespace: namespaceOf(record.name),
      since: record.since,
    }, 60_000);
    if (status === 202) {
      throw new AppError(
        'unavailable',
        `Cannot go on with ${record.name}: its data is being exported`,
      );
    }
  };
}
