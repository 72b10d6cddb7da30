import { AppError, type Fault } from '@hackspace/kit/errors.ts';
import { z } from 'zod';
import type { Policy } from './policy.ts';

/** Names that belong to the cluster, whatever the prefix of namespaces is. */
const RESERVED = /^(flux-system|kube-.*|default|tenants?|hackspace.*|admin|system|openbao|core)$/;

/**
 * What a member may decide about a tenant, and nothing else: every field is from a list, or of a
 * shape too narrow to carry YAML, a template or another host. Untrusted input.
 */
export interface TenantInput {
  /** DNS-1123 label of 3 to 40 letters. */
  name: string;
  /** A plan of the policy file. */
  plan: string;
  repository: {
    /** `https://host/path` on an allow-listed origin. */
    url: string;
    /** A branch, or `refs/tags/…`. */
    ref: string;
    /** The folder Flux applies, `./` for the root. */
    path: string;
  };
  wants: { calendar: boolean };
  /** The member's own wish to stop everything for now. */
  suspend: boolean;
}

export const NAME = /^[a-z]([a-z0-9-]{1,38})[a-z0-9]$/;
const SEGMENT = '[A-Za-z0-9_][A-Za-z0-9._-]{0,63}';
const REF = new RegExp(`^(refs/tags/)?${SEGMENT}(/${SEGMENT}){0,4}$`);
const PATH = new RegExp(`^\\./(${SEGMENT}(/${SEGMENT}){0,7})?$`);
const REPOSITORY = new RegExp(`^(/${SEGMENT}){1,6}$`);

const name = z.string()
  .regex(NAME, 'must be 3 to 40 of a-z, 0-9 and "-", beginning with a letter, not ending in "-"')
  .refine((value) => !value.includes('--'), 'must not hold two "-" in a row')
  .refine((value) => !RESERVED.test(value), 'belongs to the cluster itself; choose another name');

const ref = z.string().max(200)
  .regex(REF, 'must be a branch such as main, or a tag such as refs/tags/v1')
  .refine(
    (value) => !/\.\.|\.lock(\/|$)|\.(\/|$)/.test(value),
    'is not a name that git allows',
  );

const path = z.string().max(200)
  .regex(PATH, 'must be a folder of the repository such as ./ or ./apps/calendar')
  .refine((value) => !value.includes('..'), 'must not leave the repository');

/** The parser of a tenant under this policy. Unknown keys are faults, each with a plain reason. */
export function tenantSchema(policy: Policy) {
  return z.strictObject({
    name,
    plan: z.string().max(63).refine(
      (plan) => Object.hasOwn(policy.plans, plan),
      `must be one of the plans: ${Object.keys(policy.plans).join(', ')}`,
    ).default(policy.defaultPlan),
    repository: z.strictObject({
      url: z.string().max(300).superRefine((value, context) => {
        const fault = repositoryFault(value, policy.repositories);
        if (fault) context.addIssue({ code: 'custom', message: fault });
      }),
      ref: ref.default('main'),
      path: path.default('./'),
    }),
    wants: z.strictObject({ calendar: z.boolean().default(false) }).prefault({}),
    suspend: z.boolean().default(false),
  });
}

/** The fields a member may change later: everything but the name. */
export function changeSchema(policy: Policy) {
  return tenantSchema(policy).omit({ name: true });
}

/**
 * Why this URL cannot be a tenant's repository, in words for the member; undefined when it can.
 * The parsed host decides, and the text must be what the parser would write: so no other spelling
 * of an address, no user, no port that is not listed gets through.
 */
export function repositoryFault(text: string, origins: readonly string[]): string | undefined {
  if (text.includes('${')) return 'must not hold "${": it would be replaced on the cluster';
  if (text.startsWith('-')) return 'must not begin with "-"';
  if (!/^[\x21-\x7e]+$/.test(text)) return 'must be plain ASCII without spaces';
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return 'is not a URL; write it as https://host/you/repository';
  }
  if (url.username || url.password || text.includes('@')) {
    return 'must not hold a user or a password; the repository has to be readable without';
  }
  if (url.protocol !== 'https:' && !origins.includes(url.origin)) return 'must begin with https://';
  if (url.search || url.hash) return 'must not hold "?" or "#"';
  if (!origins.includes(url.origin)) {
    return `is on a host that this space does not allow; allowed: ${origins.join(', ')}`;
  }
  if (text !== url.origin + url.pathname || !REPOSITORY.test(url.pathname)) {
    return 'must be written plainly: https://host/you/repository';
  }
  if (url.pathname.includes('..')) return 'must not hold ".."';
  return undefined;
}

/** Parses what a member sent. Throws AppError `invalid` with every fault at once. */
export function parseTenant(input: unknown, policy: Policy): TenantInput {
  return parse(tenantSchema(policy), input, 'Cannot accept this tenant');
}

export function parse<S extends z.ZodType>(schema: S, input: unknown, attempt: string) {
  const result = schema.safeParse(input);
  if (result.success) return result.data as z.output<S>;
  const faults: Fault[] = result.error.issues.flatMap((issue) => {
    const path = issue.path.map(String).join('.');
    if (issue.code !== 'unrecognized_keys') return [{ path, message: issue.message }];
    return issue.keys.map((key) => ({
      path: path ? `${path}.${key.slice(0, 60)}` : key.slice(0, 60),
      message: 'is not yours to set',
    }));
  });
  const list = faults.slice(0, 5).map((f) => `${f.path || 'the input'} ${f.message}`).join('; ');
  throw new AppError('invalid', `${attempt}: ${list}`, { faults });
}
