/** The domain of our labels: the one place where it is written down. */
export const DOMAIN = 'hackspace.dev';
export const LABEL_TENANT = `${DOMAIN}/tenant`;
/** Where the tenant stands; its Namespace may be deleted in `draining` only, see flux/tenancy. */
export const LABEL_STATE = `${DOMAIN}/state`;
export const LABEL_MANAGED = 'app.kubernetes.io/managed-by';
export const MANAGER = 'hackspace-provisioner';
/** The ClusterRole that a tenant's ServiceAccount holds in its own namespace; see flux/tenancy. */
export const TENANT_ROLE = 'hackspace-tenant';
/** ServiceAccount, RoleBinding, GitRepository and Kustomization of a tenant all have this name. */
export const TENANT = 'tenant';
/** The SecretStore of a tenant. */
export const STORE = 'openbao';
export const namespaceOf = (name: string) => `tenant-${name}`;
