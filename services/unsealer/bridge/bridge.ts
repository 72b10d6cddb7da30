/** The bridges' own loop: pins keys, renews reviewers, and examines itself now and then. */
import { describe } from '@hackspace/kit/errors.ts';
import { getLogger } from '@hackspace/kit/log.ts';
import type { Metrics } from '@hackspace/kit/metrics.ts';
import type { State } from '@hackspace/kit/state.ts';
import type { Alerts } from '../alerts.ts';
import { type Ends, openEnds } from './api.ts';
import type { BridgeConfig } from './config.ts';
import { examine } from './doctor.ts';
import { FAILURES, type Finding } from './findings.ts';
import { syncKeys } from './jwks.ts';
import { renewReviewer } from './reviewer.ts';

const log = getLogger(['unsealer', 'bridge']);

export interface BridgeStatus {
  bridge: string;
  ok: boolean;
  text: string;
}

export interface Bridges {
  status(): BridgeStatus[];
  /** Examines every bridge now. */
  doctor(): Promise<Finding[]>;
  stop(): Promise<void>;
}

export interface BridgePorts {
  state: State;
  alerts: Alerts;
  metrics: Metrics;
}

export async function startBridges(
  configs: Record<string, BridgeConfig>,
  { state, alerts, metrics }: BridgePorts,
): Promise<Bridges> {
  const all = await Promise.all(Object.entries(configs).map(([id, c]) => openEnds(id, c)));
  const expiry = metrics.gauge('reviewer_expiry_seconds', 'When the reviewer token ends', [
    'bridge',
  ]);
  const pinned = metrics.gauge('pinned_keys', 'Keys pinned in the upstream', ['bridge']);
  const finding = metrics.gauge('doctor_finding', '1: the doctor found this failure', [
    'bridge',
    'failure',
  ]);
  const up = metrics.gauge('bridge_ok', '1 while the last round went well', ['bridge']);
  const said = new Map<string, BridgeStatus>();
  const timers = new Set<ReturnType<typeof setTimeout>>();
  const rounds = new Map<string, Promise<void>>();
  let stopped = false;

  async function round(ends: Ends): Promise<void> {
    const { id, config } = ends;
    const parts: string[] = [];
    try {
      if (config.jwt) {
        const { changed, keys, old } = await syncKeys(ends, state);
        pinned.set({ bridge: id }, keys);
        if (changed) log.info('keys pinned', { bridge: id, keys, old });
        parts.push(`${keys} key(s) pinned${old ? `, ${old} of them leaving` : ''}`);
      }
      if (config.kubernetes) {
        const { renewed, expires } = await renewReviewer(ends, state);
        expiry.set({ bridge: id }, Math.round(expires / 1000));
        if (renewed) {
          log.info('reviewer renewed', { bridge: id, expires: new Date(expires).toISOString() });
        }
        parts.push(`reviewer until ${new Date(expires).toISOString()}`);
        // Half of its life has passed and nobody renewed it: less than a quarter is near.
        const near = expires - Date.now() < config.kubernetes.reviewer.ttl / 4;
        if (near) {
          const text = `It ends at ${new Date(expires).toISOString()}`;
          alerts.raise(`reviewer:${id}`, { title: `Reviewer of ${id} is near its end`, text });
        } else alerts.clear(`reviewer:${id}`);
      }
      said.set(id, { bridge: id, ok: true, text: parts.join('; ') });
      up.set({ bridge: id }, 1);
      alerts.clear(`bridge:${id}`);
    } catch (error) {
      const text = describe(error);
      if (said.get(id)?.text !== text) {
        log.error('bridge round failed', { bridge: id, error: text });
      }
      said.set(id, { bridge: id, ok: false, text });
      up.set({ bridge: id }, 0);
      alerts.raise(`bridge:${id}`, { title: `Bridge ${id} cannot be kept`, text });
    }
  }

  async function keep(ends: Ends): Promise<void> {
    await round(ends);
    if (stopped) return;
    const { jwt, kubernetes } = ends.config;
    const every = Math.min(jwt?.every ?? Infinity, kubernetes?.every ?? Infinity);
    // After a failure sooner, so that an API that was away at boot is not waited for.
    const next = said.get(ends.id)?.ok ? every : Math.min(every, 15_000);
    const timer = setTimeout(() => {
      timers.delete(timer);
      rounds.set(ends.id, keep(ends));
    }, next * (0.9 + 0.2 * Math.random()));
    timers.add(timer);
  }

  for (const { id } of all) said.set(id, { bridge: id, ok: false, text: 'not looked at yet' });
  for (const ends of all) rounds.set(ends.id, keep(ends));
  return {
    status: () => [...said.values()],
    async doctor() {
      const found = (await Promise.all(all.map((ends) => examine(ends, state)))).flat();
      for (const { id } of all) {
        for (const [number, name] of Object.entries(FAILURES)) {
          const hit = found.some((f) => f.bridge === id && f.failure === Number(number));
          finding.set({ bridge: id, failure: name }, hit ? 1 : 0);
        }
      }
      return found;
    },
    async stop() {
      stopped = true;
      for (const timer of timers) clearTimeout(timer);
      for (const { upstream, downstream } of all) {
        upstream.close();
        downstream.close();
      }
      await Promise.allSettled(rounds.values());
    },
  };
}
