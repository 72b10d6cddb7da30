/** The vault's side of docs/inter-cluster-auth.md: what tenants' ServiceAccounts log in to. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OpenBao } from '../peers/openbao.ts';
import { ROOT } from './documents.ts';

/** The role and the policy that the page tells a hackspace to write. */
function documented(accessor: string) {
  const page = readFileSync(join(ROOT, 'docs/inter-cluster-auth.md'), 'utf8');
  const policy = /bao policy write tenant - <<EOF\n([\s\S]*?)\nEOF/.exec(page)![1]!
    .replace('$ACCESSOR', accessor);
  const role = JSON.parse(/role\/tenant - <<EOF\n([\s\S]*?)\nEOF/.exec(page)![1]!);
  return { policy, role };
}

/** Everything of the page but the keys of the other cluster, which are pinned by hand or by the bridge. */
export async function letTenantsIn(bao: OpenBao): Promise<void> {
  const write = (path: string, body: unknown) => bao.call(`/v1/${path}`, { method: 'POST', body });
  await write('sys/mounts/secret', { type: 'kv', options: { version: '2' } });
  await write('sys/auth/jwt-member-prod', { type: 'jwt' });
  const { accessor } = (await bao.call('/v1/sys/auth'))['jwt-member-prod/'];
  const { policy, role } = documented(accessor);
  await write('sys/policies/acl/tenant', { policy });
  await write('auth/jwt-member-prod/role/tenant', role);
}
