/** The vault's side of docs/inter-cluster-auth.md: what tenants' ServiceAccounts log in to. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OpenBao } from '../peers/openbao.ts';
import { ROOT } from './documents.ts';

/** The role of this name and its policy, as the page tells a hackspace to write them. */
export function documented(name: 'tenant' | 'receiver', accessor = '') {
  const page = readFileSync(join(ROOT, 'docs/inter-cluster-auth.md'), 'utf8');
  const said = (command: string) =>
    new RegExp(`${command} - <<EOF\\n([\\s\\S]*?)\\nEOF`).exec(page)![1]!;
  return {
    policy: said(`bao policy write ${name}`).replace('$ACCESSOR', accessor),
    role: JSON.parse(said(`role/${name}`)),
  };
}

/** Everything of the page but the keys of the other cluster, which are pinned by hand or by the bridge. */
export async function letTenantsIn(bao: OpenBao): Promise<void> {
  const write = (path: string, body: unknown) => bao.call(`/v1/${path}`, { method: 'POST', body });
  await write('sys/mounts/secret', { type: 'kv', options: { version: '2' } });
  await write('sys/auth/jwt-member-prod', { type: 'jwt' });
  const { accessor } = (await bao.call('/v1/sys/auth'))['jwt-member-prod/'];
  for (const name of ['tenant', 'receiver'] as const) {
    const { policy, role } = documented(name, accessor);
    await write(`sys/policies/acl/${name}`, { policy });
    await write(`auth/jwt-member-prod/role/${name}`, role);
  }
}
