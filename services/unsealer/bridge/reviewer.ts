/** Renews the reviewer token of the upstream's kubernetes auth before it expires. */
import { z } from 'zod';
import { StalledError } from '@hackspace/kit/errors.ts';
import type { State } from '@hackspace/kit/state.ts';
import { type Ends, insist, reasonOf, requestToken, reviewToken } from './api.ts';

const KEPT = z.object({ issued: z.number(), expires: z.number() });
const CONFIG = z.object({
  data: z.looseObject({
    token_reviewer_jwt_set: z.boolean().optional(),
    kubernetes_host: z.string().optional(),
    kubernetes_ca_cert: z.string().optional(),
    disable_local_ca_jwt: z.boolean().optional(),
    issuer: z.string().optional(),
    pem_keys: z.array(z.string()).optional(),
    disable_iss_validation: z.boolean().optional(),
  }),
});

export interface Reviewer {
  renewed: boolean;
  /** Epoch milliseconds. */
  expires: number;
}

/** When the reviewer was issued and when it ends; undefined when this helper never wrote one. */
export async function keptReviewer(id: string, state: State) {
  const bytes = await state.get(`bridges/${id}/reviewer`);
  return bytes && KEPT.parse(JSON.parse(new TextDecoder().decode(bytes)));
}

/**
 * One round: past half of its life, or gone from the config, the reviewer is made anew by
 * TokenRequest, tried on the downstream, and the WHOLE config is written: a write that leaves the
 * token out would clear it.
 */
export async function renewReviewer(ends: Ends, state: State, now = Date.now()): Promise<Reviewer> {
  const { kubernetes, downstream } = ends.config;
  if (!kubernetes) {
    throw new StalledError(`Cannot renew reviewer of ${ends.id}: it has no kubernetes`);
  }
  const path = `/v1/auth/${kubernetes.mount}/config`;
  const read = await ends.upstream.ask('GET', path);
  const config = read.status === 200 ? CONFIG.parse(read.body).data : undefined;
  const host = (downstream.fromUpstream ?? downstream.url).replace(/\/$/, '');
  const kept = await keptReviewer(ends.id, state);
  const right = config?.token_reviewer_jwt_set !== false && config?.kubernetes_host === host &&
    config.disable_local_ca_jwt === true &&
    config.kubernetes_ca_cert?.trim() === ends.downstream.ca.trim();
  const young = kept && now >= kept.issued && now < (kept.issued + kept.expires) / 2;
  if (right && young) return { renewed: false, expires: kept.expires };

  const seconds = Math.max(600, Math.round(kubernetes.reviewer.ttl / 1000));
  const { token, expires } = await requestToken(ends.downstream, kubernetes.reviewer, { seconds });
  const tried = await reviewToken(ends.downstream, token, token, []);
  if (tried.status !== 201) {
    const why = `${tried.status}: ${reasonOf(tried)}`;
    throw new StalledError(`Cannot renew reviewer of ${ends.id}: it may not review tokens: ${why}`);
  }
  await insist(ends.upstream, 'POST', path, {
    kubernetes_host: host,
    kubernetes_ca_cert: ends.downstream.ca,
    token_reviewer_jwt: token,
    // Otherwise a missing reviewer would be replaced by OpenBao's own token, sent downstream.
    disable_local_ca_jwt: true,
    ...(config?.issuer ? { issuer: config.issuer } : {}),
    ...(config?.pem_keys?.length ? { pem_keys: config.pem_keys } : {}),
    ...(config?.disable_iss_validation === undefined
      ? {}
      : { disable_iss_validation: config.disable_iss_validation }),
  });
  await state.set(`bridges/${ends.id}/reviewer`, JSON.stringify({ issued: now, expires }));
  return { renewed: true, expires };
}
