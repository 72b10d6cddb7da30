/** What the doctor found: one of the fifteen known failures, or that a step is well. */

/** The failures, by number, as `GET /doctor`, the CLI and the metric `doctor_finding` name them. */
export const FAILURES = {
  1: 'denied-without-reason',
  2: 'reviewer-rejected',
  3: 'reviewer-gone',
  4: 'reviewer-may-not-review',
  5: 'client-may-not-review',
  6: 'wrong-audience',
  7: 'role-has-no-audience-for-the-token',
  8: 'wrong-issuer',
  9: 'downstream-unreachable-or-wrong-ca',
  10: 'account-not-bound-or-no-role',
  11: 'upstream-credentials-used-downstream',
  12: 'pinned-keys-differ',
  13: 'clock-or-role-type',
  14: 'secretstore-without-namespace',
  15: 'role-without-audience',
} as const;
export type FailureNumber = keyof typeof FAILURES;

export interface Finding {
  bridge: string;
  ok: boolean;
  /** Absent when well, or when what is wrong is none of the fifteen. */
  failure?: FailureNumber;
  name: string;
  /** What was tried and what came back, without any token. */
  text: string;
  /** The command that mends it. */
  mend?: string;
}

export function well(bridge: string, name: string, text: string): Finding {
  return { bridge, ok: true, name, text };
}

export function failed(
  bridge: string,
  failure: FailureNumber,
  text: string,
  mend: string,
): Finding {
  return { bridge, ok: false, failure, name: FAILURES[failure], text, mend };
}

/** Something outside the fifteen: the upstream itself, a bad token of ours. */
export function other(bridge: string, name: string, text: string, mend: string): Finding {
  return { bridge, ok: false, name, text, mend };
}
