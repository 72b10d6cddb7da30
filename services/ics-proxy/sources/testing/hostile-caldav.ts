import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CALENDAR } from './faulty-upstream.ts';

/** What a request asks for, as far as this simulator cares. */
export interface DavQuestion {
  kind: 'discover' | 'list' | 'sync' | 'multiget';
  path: string;
  depth: string;
  /** The sync token that came with it. */
  token: string;
  /** The hrefs of a multiget. */
  hrefs: string[];
}

export type DavAnswer = string | {
  status: number;
  headers?: Record<string, string>;
  body?: string;
};

export interface HostileCaldav extends AsyncDisposable {
  origin: string;
  questions: DavQuestion[];
  /** Answers instead of the well-behaved default; undefined leaves it to that. */
  behave(answer: (question: DavQuestion) => DavAnswer | undefined): void;
}

/**
 * A simulator of a CalDAV server, for what Radicale and sabre/dav would never answer. Its default
 * behaviour is a calendar at `/c/` with one event that changes with every sync.
 */
export async function startHostileCaldav(): Promise<HostileCaldav> {
  const questions: DavQuestion[] = [];
  let behaviour: (question: DavQuestion) => DavAnswer | undefined = () => undefined;
  let changes = 0;
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const question: DavQuestion = {
      kind: body.includes('<sync-collection')
        ? 'sync'
        : body.includes('calendar-multiget')
        ? 'multiget'
        : body.includes('current-user-principal')
        ? 'discover'
        : 'list',
      path: request.url ?? '',
      depth: String(request.headers.depth),
      token: /<sync-token>(.*?)<\/sync-token>/.exec(body)?.[1] ?? '',
      hrefs: [...body.matchAll(/<href>(.*?)<\/href>/g)].map((match) => match[1]!),
    };
    questions.push(question);
    const answer = behaviour(question) ?? standard(question);
    const { status, headers = {}, body: text = '' } = typeof answer === 'string'
      ? { status: 207, body: answer }
      : answer;
    response.writeHead(status, { 'content-type': 'application/xml', ...headers }).end(text);
  });
  function standard(question: DavQuestion): string {
    if (question.kind === 'discover') return multistatus(calendar('/c/', `t${++changes}`));
    if (question.kind === 'multiget') {
      return multistatus(...question.hrefs.map((href) => member(href, `"${changes}"`, CALENDAR)));
    }
    return multistatus(member('/c/a.ics', `"${changes}"`), `<sync-token>t${changes}</sync-token>`);
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    questions,
    behave: (answer) => void (behaviour = answer),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function multistatus(...parts: string[]): string {
  return `<multistatus xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">${
    parts.join('')
  }</multistatus>`;
}

function response(href: string, properties: string): string {
  return `<response><href>${href}</href><propstat><prop>${properties}</prop>` +
    '<status>HTTP/1.1 200 OK</status></propstat></response>';
}

/** A calendar that syncs when it has a token. */
export function calendar(href: string, token?: string): string {
  return response(
    href,
    '<resourcetype><collection/><C:calendar/></resourcetype>' +
      (token === undefined ? '' : `<sync-token>${token}</sync-token>`),
  );
}

export function member(href: string, etag: string, data?: string): string {
  const text = data?.replace(/[<&\r]/g, (c) => `&#${c.charCodeAt(0)};`);
  const shown = text === undefined ? '' : `<C:calendar-data>${text}</C:calendar-data>`;
  return response(href, `<getetag>${etag}</getetag>${shown}`);
}

export function gone(href: string, status = '404 Not Found'): string {
  return `<response><href>${href}</href><status>HTTP/1.1 ${status}</status></response>`;
}

export function principal(href: string): string {
  return response('/', `<current-user-principal><href>${href}</href></current-user-principal>`);
}

export function home(...hrefs: string[]): string {
  const all = hrefs.map((href) => `<href>${href}</href>`).join('');
  return response('/', `<C:calendar-home-set>${all}</C:calendar-home-set>`);
}
