/** docs/lockdown.md, written from what a run of tests/e2e/lockdown.e2e.test.ts saw. */
import { here } from '../../peers/lib/here.ts';
import { escapes } from './escapes.ts';
import type { Reach } from './reach.ts';

export const PAGE = here(import.meta, '../../../docs/lockdown.md');

export interface Row {
  id: number;
  lane: 'forged' | 'own';
  /** `git`: committed, and judged through Flux. `API`: server-side dry run as the same identity. */
  how: 'git' | 'API';
  object: string;
  by: string;
  reason: string;
}

const cell = (text: string) =>
  text.replaceAll('|', '\\|').replace(/\s+/g, ' ').trim().slice(0, 240);
const lanes = { forged: 'tenants repository', own: 'own repository' };

export function lockdownPage(rows: Row[], reach: Reach): string {
  const refused = rows.filter((row) => row.by !== 'OPEN').length;
  const lines = [
    '# The lock, tried',
    '',
    '<!-- Written by HACKSPACE_WRITE_DOCS=1 npx vitest run --project e2e tests/e2e/lockdown.e2e.test.ts -->',
    '',
    `${escapes.length} ways out of a tenant's namespace, as ${rows.length} attempts on a real API server: ${refused} refused.`,
    `${
      rows.filter((row) => row.how === 'git').length
    } of them (*git*) were committed and judged through Flux' real controllers, the others (*API*)`,
    "are server-side dry runs as the same identity. *tenants repository*: a forged commit, signed with the provisioner's",
    "key. *own repository*: the member's manifests. The words are the server's.",
    '',
    'Twelve are published findings; from 13 on they are ours. The policies stand in `flux/tenancy/policies`.',
    '',
  ];
  for (const { id, title } of escapes) {
    lines.push(
      `## ${id}. ${title}`,
      '',
      '| from | how | what | refused by | because |',
      '|---|---|---|---|---|',
    );
    for (const row of rows.filter((each) => each.id === id)) {
      lines.push(
        `| ${lanes[row.lane]} | ${row.how} | ${cell(row.object)} | ${row.by} | ${
          cell(row.reason)
        } |`,
      );
    }
    lines.push('');
  }
  lines.push(
    '## Takeover: what the provisioner’s credential reaches',
    '',
    'The attacker holds the right to push to the tenants repository and the key that signs its commits.',
    `Of the API server's ${reach.all} kinds and subresources that can be written, RBAC lets the applying identity write:`,
    '',
    ...reach.kinds.map((kind) => `- \`${kind}\``),
    '',
    'A well-formed object of each was then tried in every namespace of the cluster; accepted were:',
    '',
    '| namespace | kinds accepted |',
    '|---|---|',
    ...reach.namespaces.map((namespace) => {
      const kinds = reach.written.filter((each) => each.endsWith(` ${namespace}`));
      return `| ${namespace} | ${kinds.map((each) => each.split(' ')[0]).join(', ') || 'none'} |`;
    }),
    '',
    'So the attacker can: make, change and (in two commits) delete tenants; point a tenant at another repository of',
    'an allowed host, and so run workloads in that tenant, within the quota ceiling, as that tenant; through it read',
    "that tenant's Secrets and its paths in the vault. The attacker cannot: read or write anything outside",
    'namespaces named `tenant-…`, raise a ceiling, reach an address that is not allow-listed, or change a policy.',
    'How MANY tenants there are is bounded by no policy: many at once are seen in the commits, not refused.',
    'One bad commit stops the tenants repository from being applied until it is reverted: no tenant is changed by',
    'it, and none can be added (runbook `flux-is-stuck.md`).',
    '',
  );
  return lines.join('\n');
}
