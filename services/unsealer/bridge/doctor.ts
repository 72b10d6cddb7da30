/**
 * Why does a login from the downstream cluster fail? Makes the real calls, in the order in which
 * the parts depend on one another, and names which of the fifteen known failures each refusal is.
 */
import { decodeJwt } from 'jose';
import { describe } from '@hackspace/kit/errors.ts';
import type { State } from '@hackspace/kit/state.ts';
import { TransportError } from '../pinned.ts';
import { type ApiAnswer, type Ends, reasonOf, requestToken, reviewToken } from './api.ts';
import { failed, type FailureNumber, type Finding, other, well } from './findings.ts';
import { pemOf, plain } from './jwks.ts';
import { keptReviewer } from './reviewer.ts';

/** Every finding about one bridge; never throws, never holds a token. */
export async function examine(ends: Ends, state: State, now = Date.now()): Promise<Finding[]> {
  const findings: Finding[] = [];
  const add = (finding: Finding) => {
    // The same failure seen from two sides is one finding: the first says it more exactly.
    const twin = findings.some((f) =>
      !f.ok && f.failure !== undefined && f.failure === finding.failure
    );
    if (!twin) findings.push(finding);
  };
  try {
    if (!await reach(ends, add)) return findings;
    if (ends.config.jwt) await examineJwt(ends, add);
    if (ends.config.kubernetes) await examineKubernetes(ends, state, now, add);
  } catch (error) {
    add(other(ends.id, 'doctor-failed', describe(error), 'Run the doctor again'));
  }
  return findings;
}

type Add = (finding: Finding) => void;

/** Both ends answer, and to us: without that nothing below can be told. */
async function reach({ id, upstream, downstream, config }: Ends, add: Add): Promise<boolean> {
  let own: ApiAnswer;
  try {
    own = await upstream.ask('GET', '/v1/auth/token/lookup-self');
  } catch (error) {
    add(other(id, 'upstream-unreachable', `OpenBao: ${describe(error)}`, 'bao status'));
    return false;
  }
  if (own.status !== 200) {
    const text = `OpenBao does not take our token: ${reasonOf(own)}`;
    add(
      other(
        id,
        'upstream-token-refused',
        text,
        `Write a valid token to ${config.upstream.tokenFile}`,
      ),
    );
    return false;
  }
  let theirs: ApiAnswer;
  try {
    theirs = await downstream.ask('GET', '/version');
  } catch (error) {
    const kind = error instanceof TransportError && error.kind === 'stranger';
    const mend = kind
      ? 'kubectl config view --raw --minify -o jsonpath={.clusters[0].cluster.certificate-authority-data}'
      : `curl --cacert ca.crt ${config.downstream.url}/version`;
    add(failed(id, 9, `the downstream API: ${describe(error)}`, mend));
    return false;
  }
  if (theirs.status === 401) {
    const text = `the downstream API refuses our own credentials: ${reasonOf(theirs)}`;
    add(failed(id, 11, text, 'Give downstream.tokenFile a token of the DOWNSTREAM cluster'));
    return false;
  }
  const health = await upstream.ask('GET', '/v1/sys/health?standbyok=true');
  const server = Number(health.body?.server_time_utc) * 1000 || health.date;
  if (server && theirs.date && Math.abs(server - theirs.date) > 30_000) {
    const off = Math.round((server - theirs.date) / 1000);
    const text = `OpenBao's clock is ${off} s off the downstream's: 60 s are forgiven`;
    add(failed(id, 13, text, 'timedatectl set-ntp true'));
  }
  return true;
}

async function clientToken(ends: Ends, audience: string, add: Add): Promise<string | undefined> {
  const { client } = ends.config;
  try {
    const request = { audiences: [audience], seconds: 600 };
    return (await requestToken(ends.downstream, client, request)).token;
  } catch (error) {
    const where = `${client.namespace}/${client.name}`;
    const missing = describe(error).includes(': 404:');
    const text = `no token for the client ${where}: ${describe(error)}`;
    const make = `kubectl -n ${client.namespace} create serviceaccount ${client.name}`;
    const grant = 'Grant create on serviceaccounts/token to the identity of downstream.tokenFile';
    add(
      missing
        ? failed(ends.id, 10, text, make)
        : other(ends.id, 'token-request-refused', text, grant),
    );
    return undefined;
  }
}

async function examineJwt(ends: Ends, add: Add): Promise<void> {
  const { id, upstream, downstream } = ends;
  const { mount, role, issuer, audience } = ends.config.jwt!;
  const base = `auth/${mount}`;
  const token = await clientToken(ends, audience, add);
  const config = await upstream.ask('GET', `/v1/${base}/config`);
  const enable = `bao auth enable -path=${mount} jwt`;
  if (config.status !== 200) {
    add(other(id, 'mount-missing', `${base}: ${reasonOf(config)}`, enable));
    return;
  }
  const data = config.body?.data ?? {};
  const pin = `bao write ${base}/config jwt_validation_pubkeys=@keys.pem bound_issuer=${issuer}`;
  const shown = await downstream.ask('GET', '/openid/v1/jwks');
  if (shown.status === 200) {
    const keys = pemOf(shown.body);
    const pinned = new Set(((data.jwt_validation_pubkeys ?? []) as string[]).map(plain));
    const missing = keys.filter((pem) => !pinned.has(plain(pem))).length;
    const status = data.status && data.status !== 'valid' ? `, its config is ${data.status}` : '';
    if (missing || status) {
      const text = `${missing} of the downstream's ${keys.length} key(s) are not pinned${status}`;
      add(failed(id, 12, text, pin));
    } else add(well(id, 'keys', `${keys.length} key(s) of the downstream are pinned`));
  }
  const says = token && decodeJwt(token).iss;
  const bound = data.bound_issuer ?? '';
  if (says && bound && says !== bound) {
    add(
      failed(id, 8, `tokens say iss ${says}, bound_issuer is ${bound}`, pin.replace(issuer, says)),
    );
  }
  await examineRole(ends, base, role, audience, add);
  if (token) await login(ends, base, role, token, add, false);
}

/** The role as stored: what a misspelt key left out shows here before the login does. */
async function examineRole(
  ends: Ends,
  base: string,
  role: string,
  audience: string,
  add: Add,
): Promise<void> {
  const { id, upstream } = ends;
  const { client } = ends.config;
  const jwt = base === `auth/${ends.config.jwt?.mount}`;
  const path = `${base}/role/${role}`;
  const sub = `system:serviceaccount:${client.namespace}:${client.name}`;
  const write = jwt
    ? `bao write ${path} role_type=jwt user_claim=sub bound_subject=${sub} bound_audiences=${audience} ttl=15m`
    : `bao write ${path} bound_service_account_names=${client.name} ` +
      `bound_service_account_namespaces=${client.namespace} audience=${audience} ttl=15m`;
  const answer = await upstream.ask('GET', `/v1/${path}`);
  if (answer.status !== 200) {
    add(failed(id, 10, `${path}: no such role`, write));
    return;
  }
  const data = answer.body?.data ?? {};
  if (jwt) {
    if (data.role_type !== 'jwt') {
      add(failed(id, 13, `${path}: role_type is ${data.role_type}, not jwt`, write));
    }
    const bound: string[] = data.bound_audiences ?? [];
    if (bound.length === 0) add(failed(id, 7, `${path} binds no audience`, write));
    else if (!bound.includes(audience)) {
      add(failed(id, 6, `${path} binds audience ${bound.join(', ')}, not ${audience}`, write));
    }
    if (data.bound_subject && data.bound_subject !== sub) {
      add(failed(id, 10, `${path} binds ${data.bound_subject}, the client is ${sub}`, write));
    }
    return;
  }
  if (!data.audience) add(failed(id, 15, `${path} has no audience: any token is taken`, write));
  else if (data.audience !== audience) {
    add(failed(id, 6, `${path} binds audience ${data.audience}, not ${audience}`, write));
  }
  const takes = (list: unknown, name: string) =>
    Array.isArray(list) && (list.includes(name) || list.includes('*'));
  if (
    !takes(data.bound_service_account_names, client.name) ||
    !takes(data.bound_service_account_namespaces, client.namespace)
  ) add(failed(id, 10, `${path} does not bind ${client.namespace}/${client.name}`, write));
}

/** The texts of OpenBao 2.4's refusals. */
const REFUSALS: [RegExp, FailureNumber, string][] = [
  [/no known key successfully|error verifying token signature/, 12, 'Pin the downstream keys anew'],
  [/audience claim found in JWT but no audiences/, 7, 'Set bound_audiences on the role'],
  [/invalid audience/, 6, 'Ask for the audience that the role binds'],
  [/invalid issuer|claim "iss" is invalid/, 8, 'Set bound_issuer to the iss of the tokens'],
  [/expired|not before|nbf|issued at/, 13, 'timedatectl set-ntp true'],
  [
    /name not authorized|namespace not authorized|invalid subject/,
    10,
    'Bind the client in the role',
  ],
  [/invalid role name|role .* could not be found/, 10, 'Write the role'],
];

async function login(
  ends: Ends,
  base: string,
  role: string,
  jwt: string,
  add: Add,
  reviewed: boolean,
): Promise<void> {
  const answer = await ends.upstream.ask('POST', `/v1/${base}/login`, { role, jwt }, '');
  if (answer.status === 200) {
    add(well(ends.id, 'login', `${base}: the client logs in as role ${role}`));
    const token = answer.body?.auth?.client_token;
    if (token) await ends.upstream.ask('POST', '/v1/auth/token/revoke-self', {}, token);
    return;
  }
  const reason = reasonOf(answer);
  const known = REFUSALS.find(([pattern]) => pattern.test(reason));
  const text = `login at ${base}: ${answer.status}: ${reason}`;
  if (known) return add(failed(ends.id, known[1], text, known[2]));
  if (answer.status === 403 && reviewed) {
    const mend =
      'unsealer renews it: restart the bridge, or write auth config whole with a new token_reviewer_jwt';
    return add(
      failed(ends.id, 2, `${text}; a fresh reviewer is accepted, so the stored one is not`, mend),
    );
  }
  if (answer.status === 403) {
    const mend = 'Set the log level of OpenBao to debug, and look at bound CIDRs and the reviewer';
    return add(failed(ends.id, 1, text, mend));
  }
  add(other(ends.id, 'login-refused', text, `bao read ${base}/role/${role}`));
}

async function examineKubernetes(ends: Ends, state: State, now: number, add: Add): Promise<void> {
  const { id, upstream, downstream } = ends;
  const { mount, role, audience, reviewer } = ends.config.kubernetes!;
  const base = `auth/${mount}`;
  const token = await clientToken(ends, audience, add);
  const config = await upstream.ask('GET', `/v1/${base}/config`);
  const whole = `bao write ${base}/config kubernetes_host=… kubernetes_ca_cert=@ca.crt ` +
    'token_reviewer_jwt=@reviewer disable_local_ca_jwt=true';
  if (config.status !== 200) {
    const text = `${base}: ${reasonOf(config)}`;
    add(other(id, 'mount-missing', text, `bao auth enable -path=${mount} kubernetes; ${whole}`));
    return;
  }
  const data = config.body?.data ?? {};
  const host = (ends.config.downstream.fromUpstream ?? ends.config.downstream.url).replace(
    /\/$/,
    '',
  );
  const ca = String(data.kubernetes_ca_cert ?? '');
  const stored = data.token_reviewer_jwt_set !== false;
  if (plain(ca) === plain(upstream.ca) && plain(ca) !== plain(downstream.ca)) {
    add(failed(id, 11, `${base} holds the UPSTREAM's CA as kubernetes_ca_cert`, whole));
  } else if (ca && plain(ca) !== plain(downstream.ca)) {
    add(failed(id, 9, `${base} holds another CA than the downstream's`, whole));
  } else if (String(data.kubernetes_host).replace(/\/$/, '') !== host) {
    const text = `${base} asks ${data.kubernetes_host}, the downstream is at ${host}`;
    add(failed(id, 9, text, whole));
  }
  if (!stored && data.disable_local_ca_jwt === false) {
    const text =
      `${base}: no reviewer and disable_local_ca_jwt=false: OpenBao in a pod would send its own token`;
    add(failed(id, 11, text, whole));
  }
  await examineRole(ends, base, role, audience, add);

  const account = `${reviewer.namespace}/${reviewer.name}`;
  const bind = `kubectl create clusterrolebinding ${reviewer.name}-reviewer ` +
    `--clusterrole=system:auth-delegator --serviceaccount=${reviewer.namespace}:${reviewer.name}`;
  let reviewed = false;
  if (stored) {
    const kept = await keptReviewer(id, state);
    if (kept && kept.expires <= now) {
      const text = `the reviewer expired at ${new Date(kept.expires).toISOString()}`;
      add(failed(id, 3, text, 'Start the bridge: it renews the reviewer'));
    }
    let fresh: string | undefined;
    try {
      fresh = (await requestToken(downstream, reviewer, { seconds: 600 })).token;
    } catch (error) {
      const text = `the reviewer's account ${account} gives no token: ${describe(error)}`;
      const make =
        `kubectl -n ${reviewer.namespace} create serviceaccount ${reviewer.name}; ${bind}`;
      add(failed(id, 3, text, make));
    }
    if (fresh) {
      const tried = await reviewToken(downstream, token ?? fresh, fresh, token ? [audience] : []);
      const text = `TokenReview as ${account}: ${tried.status}: ${reasonOf(tried)}`;
      if (tried.status === 403) add(failed(id, 4, text, bind));
      else if (tried.status === 401) add(failed(id, 2, text, whole));
      else if (tried.status === 201) {
        const { authenticated, error } = tried.body?.status ?? {};
        reviewed = authenticated === true;
        if (reviewed) add(well(id, 'reviewer', `${account} may review tokens`));
        else if (token) {
          const why = String(error ?? '').slice(0, 200);
          const mend = `kubectl create token --audience ${audience}`;
          add(
            failed(
              id,
              /audience/.test(why) ? 6 : 1,
              `TokenReview refuses the client: ${why}`,
              mend,
            ),
          );
        }
      }
    }
  } else if (token) {
    const tried = await reviewToken(downstream, token, token, [audience]);
    const text = `no reviewer is stored, and as its own the client gets ${tried.status}: ${
      reasonOf(tried)
    }`;
    if (tried.status === 401) {
      const mend =
        `Ask for two audiences, ${audience} and the API's, or store a reviewer: ${whole}`;
      add(failed(id, 5, text, mend));
    } else if (tried.status === 403) add(failed(id, 4, text, bind));
  }
  if (token) await login(ends, base, role, token, add, reviewed);
}
