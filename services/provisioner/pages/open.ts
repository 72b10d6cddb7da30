import type { OpenAPIHono } from '@hono/zod-openapi';
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { readSecret } from '@hackspace/kit/config.ts';
import { AppError } from '@hackspace/kit/errors.ts';
import type { HttpEnv } from '@hackspace/kit/http.ts';
import { createOidc } from '../auth/oidc.ts';
import { createAuth } from '../auth/session.ts';
import { openSessions } from '../auth/sessions.ts';
import type { Config } from '../config.ts';
import type { Service } from '../service.ts';
import { createPortal, portalErrorPage, type PortalPorts } from './portal.ts';
import { createTexts } from './texts.ts';

const CALLBACK = '/auth/callback';

/**
 * The portal as the config asks for it. Mount it last: its guard refuses every request that came by
 * another host name or origin, which the API, health and metrics are not subject to.
 */
export async function openPortal(config: Config, service: Service) {
  const { portal, space } = config;
  if (!portal) throw new AppError('internal', 'Cannot open the portal: it is not configured');
  const origin = new URL(config.publicUrl).origin;
  const secret = await readSecret(portal.sessionSecretFile);
  if (secret.bytes().length < 32) {
    throw new AppError('invalid', 'Cannot use portal.sessionSecretFile: 32 characters or more');
  }
  const auth = createAuth({
    oidc: createOidc({
      origin,
      callbackPath: CALLBACK,
      issuer: portal.issuer,
      clientId: portal.clientId,
      clientSecret: await readSecret(portal.clientSecretFile),
      secret,
    }),
    sessions: await openSessions({ state: service.state, secret }),
    clientId: portal.clientId,
    origin,
    callbackPath: CALLBACK,
  });
  const logo = space.logoFile ? await readLogo(space.logoFile) : undefined;
  const { commitUrl } = portal;
  const ports: PortalPorts = {
    ...service,
    auth,
    texts: createTexts(space.textsFile ? await readTexts(space.textsFile) : {}),
    space: {
      name: space.name,
      ...(logo ? { logo: '/assets/logo' } : {}),
      ...(space.joinUrl ? { join: space.joinUrl } : {}),
    },
    brand: { ...(space.colour ? { colour: space.colour } : {}), ...(logo ? { logo } : {}) },
    isAdmin: (member) => member.groups.includes(portal.adminGroup),
    ...(commitUrl ? { commitUrl: (sha: string) => commitUrl.replaceAll('{commit}', sha) } : {}),
    formTargets: [new URL(portal.issuer).origin],
  };
  return {
    errorPage: portalErrorPage(ports),
    mount(app: OpenAPIHono<HttpEnv>) {
      app.use(auth.guard);
      app.route('/', auth.routes);
      app.route('/', createPortal(ports) as unknown as typeof app);
    },
  };
}

async function readTexts(path: string): Promise<Record<string, unknown>> {
  try {
    return parse(await readFile(path, 'utf8')) ?? {};
  } catch (cause) {
    throw new AppError('invalid', `Cannot read the texts ${path}`, { cause });
  }
}

async function readLogo(path: string): Promise<{ bytes: Uint8Array; type: string }> {
  const type = path.endsWith('.svg') ? 'image/svg+xml' : path.endsWith('.png') ? 'image/png' : '';
  if (!type) throw new AppError('invalid', `Cannot use the logo ${path}: must be .svg or .png`);
  try {
    return { bytes: new Uint8Array(await readFile(path)), type };
  } catch (cause) {
    throw new AppError('invalid', `Cannot read the logo ${path}`, { cause });
  }
}
