/** Pure: who says what about a site, and where they disagree. */

/** The raw files that hold facts of a site: one kind each. */
export type Kind =
  | 'site'
  | 'tfvars'
  | 'talos'
  | 'preseed'
  | 'dns'
  | 'policy'
  | 'services'
  | 'versions';

export interface Claim {
  /** What it is about: `cp-1 address`. */
  fact: string;
  value: string;
  kind: Kind;
  /** File and path within it, for the one who has to change it. */
  place: string;
  /** Of a site's claim: the kinds that have to repeat it. */
  wanted?: Kind[];
}

/**
 * One line for each fact whose claims differ, that a file has to hold and does not, or that the site does not know.
 * Each line names every place and what it says. Empty when all agree.
 */
export function disagreements(claims: Claim[]): string[] {
  const byFact = new Map<string, Claim[]>();
  for (const claim of claims) {
    const known = byFact.get(claim.fact);
    if (known) known.push(claim);
    else byFact.set(claim.fact, [claim]);
  }
  const lines: string[] = [];
  for (const [fact, of] of byFact) {
    const said = of.map(({ value, place }) => `${value} in ${place}`).join(', ');
    const site = of.find(({ kind }) => kind === 'site');
    if (!site) lines.push(`${fact}: unknown to the site, but ${said}`);
    else if (new Set(of.map(({ value }) => value)).size > 1) lines.push(`${fact}: ${said}`);
    const missing = (site?.wanted ?? []).filter((kind) => !of.some((claim) => claim.kind === kind));
    if (missing.length > 0) lines.push(`${fact}: ${said}, but nowhere in ${missing.join(', ')}`);
  }
  return lines;
}
