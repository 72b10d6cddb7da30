import { serve, type Served } from '@hackspace/kit/serve.ts';
import { endSandboxes } from '../tests/peers/lib/sandbox.ts';
import { type Calendars, startCalendars } from './calendars.ts';
import { frontApp, type Step } from './front.ts';
import { stopParts } from './part.ts';
import type { Place } from './place.ts';
import { portalUrl, startPortal } from './portal.ts';
import { raiseReal, type Real } from './real.ts';
import { standIns } from './stand-ins.ts';
import { calendarStep, portalStep, vaultStep } from './story.ts';
import { startUnsealer } from './unsealer.ts';
import { startVault, type Vault, vaultMissing } from './vault.ts';

export interface HouseOptions {
  /** The real programs instead of the stand-ins. */
  real: boolean;
  /** Where the services' log lines go, each after its service's name. */
  log: (line: string) => void;
  /** Told what is being waited for. */
  say: (text: string) => void;
  /** More sources of the feed, in the config's form. */
  sources?: Record<string, unknown>[];
  /** Laid over the provisioner's config, and over its policy. */
  provisioner?: Record<string, unknown>;
  policy?: Record<string, unknown>;
}

export interface House {
  front: string;
  calendars: Calendars;
  portal: string;
  unsealer: string | undefined;
  vault: Vault | undefined;
  real: Real | undefined;
}

/**
 * Every service as its own process on its real code paths, the programs around them, and the front page
 * that tells of them. Whatever comes of it, `leaveHouse` ends it all.
 */
export async function raiseHouse(place: Place, options: HouseOptions): Promise<House> {
  const { log, say } = options;
  const steps: Step[] = [];
  const front: Served = await serve(
    frontApp(() => steps, options.real ? KEPT.real : KEPT.standIns),
    {
      host: '127.0.0.1',
      port: place.ports.front,
    },
  );
  fronts.push(front);
  const calendars = await startCalendars(place, front.url, log, options.sources);
  steps.push(calendarStep(place, calendars));

  const real = options.real ? await raiseReal(place, say) : undefined;
  const vault = real?.vault ?? (vaultMissing() ? undefined : await startVault(place));
  const unsealer = vault && (await startUnsealer(place, vault, log, real?.bridges)).url;
  steps.push(vaultStep(vault, unsealer));

  const around = real?.around ?? await standIns(place);
  const { policy } = around;
  await startPortal(place, {
    around: { ...around, policy: { ...policy, ...options.policy } },
    calendars,
    unsealer,
    log,
    ...(options.provisioner ? { more: options.provisioner } : {}),
  });
  const portal = portalUrl(place);
  steps.splice(1, 0, portalStep(portal, real, around.store));
  return { front: front.url, calendars, portal, unsealer, vault, real };
}

const KEPT = {
  standIns:
    'The next start finds feeds, their addresses and members’ spaces as they were; the vault is new, and everyone logs in again.',
  real:
    'The next start finds feeds and their addresses as they were; Keycloak, Gitea, the cluster, the vault and members’ spaces are new.',
};

const fronts: Served[] = [];

/** Ends everything that was started, also in the middle of a start. */
export async function leaveHouse(): Promise<void> {
  for (const front of fronts.splice(0)) await front.close(500);
  await stopParts();
  await endSandboxes();
}
