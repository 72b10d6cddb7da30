import type { Problem } from '@hackspace/kit/http.ts';
import type { Texts } from './texts.ts';

/** What every page needs: whose portal it is, who looks at it, in which words. */
export interface Shell {
  t: Texts;
  space: {
    name: string;
    /** A path or URL of the space's own logo, served by us. */
    logo?: string;
    /** Where people read how to pay. */
    join?: string;
  };
  member?: { name: string; admin: boolean };
  /** Hash of the assets, so that they can be cached for ever. */
  assets: { css: string; js: string };
}

export type Membership = 'yes' | 'no' | 'unknown';

/** A tenant's form as typed: all of it is the member's text until it is parsed. */
export interface FormValues {
  name: string;
  plan: string;
  url: string;
  ref: string;
  path: string;
  calendar: boolean;
}

export interface FormModel {
  values: FormValues;
  plans: { id: string; title: string; limits: string }[];
  hosts: string[];
  faults: { path: string; message: string }[];
  /** The tenant that is changed; absent for a new one. */
  editing?: string;
  kept: boolean;
  membership: Membership;
}

export interface CheckModel {
  values: FormValues;
  planTitle: string;
  namespace: string;
  editing?: string;
  /** One unified diff a file. */
  files: { path: string; kind: 'added' | 'changed' | 'removed'; diff: string }[];
  /** Hash of what is shown: agreeing to something else than was shown is refused. */
  preview: string;
  stale: boolean;
}

export type StepState = 'done' | 'pending' | 'failed' | 'unknown';

export interface StatusStep {
  key: 'membership' | 'committed' | 'fetched' | 'applied' | 'healthy';
  state: StepState;
  /** RFC 3339; when it came into this state. */
  at?: string;
  /** What was seen, in plain words. */
  text: string;
  /** What the member can do, when it is red. */
  help?: string;
  link?: { href: string; text: string };
}

export interface StatusModel {
  name: string;
  steps: StatusStep[];
  /** Whether anything is still on its way: only then does the page reload itself. */
  pending: boolean;
}

export interface Change {
  sha: string;
  href?: string;
  /** RFC 3339. */
  at: string;
  who: string;
  text: string;
}

export interface SpaceModel {
  name: string;
  state: string;
  paused: boolean;
  /** RFC 3339 date of what comes next, in grace and after. */
  due?: string;
  namespace: string;
  repository: { url: string; ref: string; path: string };
  quota: { name: string; used: string; hard: string; percent: number }[];
  drift: string[] | undefined;
  changes: Change[];
  vault: 'open' | 'sealed' | 'unknown';
  steps: Pick<StatusStep, 'key' | 'state'>[];
  /** Whether members reach the cluster with kubectl. */
  kubectl: boolean;
  /** Looked at from the administration, not by its member. */
  admin?: boolean;
  calendar: { wanted: boolean; url?: string; qr?: string; away?: boolean };
}

export interface AdminModel {
  query: string;
  state: string;
  states: string[];
  rows: { name: string; owner: string; plan: string; state: string; since: string }[];
  total: number;
  next?: string;
  sweep: { name: string; to: string; why: string }[] | undefined;
  breaker: { open: boolean; count: number; limit: number } | undefined;
}

export type { Problem };
