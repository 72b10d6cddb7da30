import type { View } from './tokens.ts';

/** Codings we may serve, in order of preference when the client rates them alike. */
export const ENCODINGS = ['br', 'zstd', 'gzip'] as const;
export type Encoding = typeof ENCODINGS[number] | 'identity';

/** One feed in one view, as rendered: the unit that is swapped whole when something changes. */
export interface FeedDocument {
  readonly feed: string;
  readonly view: View;
  readonly bytes: Uint8Array;
  /** Hash of the content, blind to DTSTAMP. */
  readonly etagBasis: string;
  /** Epoch milliseconds: when `etagBasis` last moved. */
  readonly modified: number;
  readonly components: number;
  readonly representations: ReadonlyMap<Encoding, Representation>;
}

/** Everything about an answer that can be known before the request: nothing is built while serving. */
export interface Representation {
  readonly etag: string;
  readonly body: Uint8Array;
  /** Header names and values in turn, as `writeHead` takes them. */
  readonly ok: string[];
  readonly notModified: string[];
}

export interface DocumentInput {
  feed: string;
  view: View;
  bytes: Uint8Array;
  etagBasis: string;
  modified: number;
  components: number;
  /** Compressed forms of `bytes`, as many as the runtime and the config allow. */
  encoded: Partial<Record<Encoding, Uint8Array>>;
}

/** Headers of every answer that a feed's URL gives, right or wrong. */
export const PRIVATE_HEADERS: readonly string[] = [
  'Cache-Control',
  'private, no-cache',
  'Vary',
  'Accept-Encoding, Authorization',
  'Referrer-Policy',
  'no-referrer',
  'X-Robots-Tag',
  'noindex',
  'X-Content-Type-Options',
  'nosniff',
  'Content-Security-Policy',
  "default-src 'none'; frame-ancestors 'none'",
];

/** Builds every representation with its headers. */
export function prepareDocument(input: DocumentInput): FeedDocument {
  const representations = new Map<Encoding, Representation>();
  const forms: [Encoding, Uint8Array][] = [['identity', input.bytes]];
  for (const name of ENCODINGS) {
    const body = input.encoded[name];
    // A coding that does not make it smaller is not worth its header.
    if (body && body.length < input.bytes.length) forms.push([name, body]);
  }
  const lastModified = new Date(input.modified).toUTCString();
  for (const [name, body] of forms) {
    const etag = name === 'identity' ? `"${input.etagBasis}"` : `"${input.etagBasis}-${name}"`;
    const validators = ['ETag', etag, 'Last-Modified', lastModified];
    representations.set(name, {
      etag,
      body,
      notModified: [...validators, ...PRIVATE_HEADERS],
      ok: [
        'Content-Type',
        'text/calendar; charset=utf-8',
        'Content-Length',
        String(body.length),
        ...(name === 'identity' ? [] : ['Content-Encoding', name]),
        'Content-Disposition',
        `inline; filename="${input.feed}.ics"`,
        ...validators,
        ...PRIVATE_HEADERS,
      ],
    });
  }
  const { feed, view, bytes, etagBasis, modified, components } = input;
  return { feed, view, bytes, etagBasis, modified, components, representations };
}

export interface Conditions {
  acceptEncoding?: string | undefined;
  ifNoneMatch?: string | undefined;
  ifModifiedSince?: string | undefined;
}

export interface Selected {
  status: 200 | 304;
  headers: string[];
  body: Uint8Array | undefined;
}

/** Chooses the representation and whether it has changed for this client (RFC 9110, 12.5.3, 13.2.2). */
export function select(document: FeedDocument, conditions: Conditions): Selected {
  const accepted = conditions.acceptEncoding;
  const representation = document.representations.size === 1 || !accepted
    ? document.representations.get('identity')!
    : document.representations.get(negotiate(accepted, document.representations))!;
  if (isCurrent(document, representation, conditions)) {
    return { status: 304, headers: representation.notModified, body: undefined };
  }
  return { status: 200, headers: representation.ok, body: representation.body };
}

function isCurrent(
  document: FeedDocument,
  representation: Representation,
  conditions: Conditions,
): boolean {
  const { ifNoneMatch, ifModifiedSince } = conditions;
  // If-None-Match, when there, decides alone.
  if (ifNoneMatch !== undefined) {
    if (ifNoneMatch === representation.etag) return true;
    return matches(ifNoneMatch, representation.etag);
  }
  if (ifModifiedSince === undefined) return false;
  const since = Date.parse(ifModifiedSince);
  return !Number.isNaN(since) && Math.floor(document.modified / 1000) * 1000 <= since;
}

/** Weak comparison over a list of entity tags; `*` matches. */
function matches(header: string, etag: string): boolean {
  for (const part of header.split(',')) {
    const tag = part.trim();
    if (tag === '*' || tag === etag || (tag.startsWith('W/') && tag.slice(2) === etag)) return true;
  }
  return false;
}

/** The best coding by the client's weights among those at hand; identity when none is wanted. */
export function negotiate(header: string, available: ReadonlyMap<Encoding, unknown>): Encoding {
  const weights = new Map<string, number>();
  for (const part of header.slice(0, 512).split(',')) {
    const [name = '', ...parameters] = part.split(';');
    const q = parameters.map((p) => p.trim()).find((p) => /^q=/i.test(p));
    const weight = q === undefined ? 1 : Number(q.slice(2));
    weights.set(name.trim().toLowerCase(), Number.isFinite(weight) ? weight : 0);
  }
  let best: Encoding = 'identity';
  let most = weights.get('identity') ?? 0;
  for (const name of ENCODINGS) {
    if (!available.has(name)) continue;
    const weight = weights.get(name) ?? weights.get('*') ?? 0;
    if (weight > 0 && weight >= most && (best === 'identity' || weight > most)) {
      best = name;
      most = weight;
    }
  }
  return best;
}
