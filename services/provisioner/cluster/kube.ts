import { AppError } from '@hackspace/kit/errors.ts';
import { readSecret } from '@hackspace/kit/secret.ts';
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';

export interface KubeOptions {
  /** `https://…:6443`. */
  server: string;
  caFile: string;
  /** A ServiceAccount's token; read anew on each call, since kubelet replaces it. */
  tokenFile: string;
  timeoutMs?: number;
}

const MAX = 4 * 1024 * 1024;

/** Reading from one Kubernetes API: GET only, its CA pinned, no redirects. */
export type KubeGet = (path: string) => Promise<{ status: number; json: unknown }>;

export function kubeReader(options: KubeOptions): KubeGet {
  return async (path) => {
    const [ca, token] = await Promise.all([
      readFile(options.caFile),
      readSecret(options.tokenFile),
    ]);
    return await new Promise((resolve, reject) => {
      const fail = (why: string, cause?: unknown) =>
        reject(new AppError('unavailable', `Cannot ask the cluster: ${why}`, { cause }));
      const call = request(new URL(path, options.server), {
        ca,
        method: 'GET',
        headers: { authorization: `Bearer ${token.reveal()}`, accept: 'application/json' },
        signal: AbortSignal.timeout(options.timeoutMs ?? 5000),
      }, (response) => {
        const parts: Buffer[] = [];
        let size = 0;
        response.on('data', (part: Buffer) => {
          size += part.length;
          if (size > MAX) call.destroy(new Error('answer too large'));
          else parts.push(part);
        });
        response.on('error', (cause) => fail('its answer broke off', cause));
        response.on('end', () => {
          try {
            const json = JSON.parse(Buffer.concat(parts).toString('utf8'));
            resolve({ status: response.statusCode!, json });
          } catch (cause) {
            fail('its answer is not JSON', cause);
          }
        });
      });
      call.on('error', (cause) => fail('it does not answer', cause));
      call.end();
    });
  };
}
