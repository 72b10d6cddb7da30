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
  /** What can be served, made or not. */
  readonly representations: Map<Encoding, Representation>;
}

/** Everything about an answer that can be known before the request: nothing is built while serving. */
export interface Representation {
  readonly etag: string;
  /** Absent until somebody asks for this coding; others are served meanwhile. */
  readonly body?: Uint8Array | undefined;
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
  /** Codings that may be asked for. */
  possible: readonly Encoding[];
  /** Those that are made. */
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
  const { encoded, possible, ...rest } = input;
  const document: FeedDocument = { ...rest, representations: new Map() };
  addCoding(document, 'identity', input.bytes);
  for (const name of ENCODINGS) {
    if (possible.includes(name)) addCoding(document, name, encoded[name]);
  }
  return document;
}

/** Puts a coding in its place, without a body when it is not made so far. */
export function addCoding(
  document: FeedDocument,
  name: Encoding,
  body: Uint8Array | undefined,
): void {
  const { representations, feed, bytes, etagBasis } = document;
  const plain = name === 'identity';
  // A coding that does not make it smaller is not worth its header.
  if (body && !plain && body.length >= bytes.length) {
    representations.delete(name);
    return;
  }
  const etag = plain ? `"${etagBasis}"` : `"${etagBasis}-${name}"`;
  const lastModified = new Date(document.modified).toUTCString();
  const validators = ['ETag', etag, 'Last-Modified', lastModified];
  representations.set(name, {
    etag,
    body,
    notModified: [...validators, ...PRIVATE_HEADERS],
    ok: body
      ? [
        'Content-Type',
        'text/calendar; charset=utf-8',
        'Content-Length',
        String(body.length),
        ...(plain ? [] : ['Content-Encoding', name]),
        'Content-Disposition',
        `inline; filename="${feed}.ics"`,
        ...validators,
        ...PRIVATE_HEADERS,
      ]
      : [],
  });
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

const PLAIN: readonly Encoding[] = ['identity'];

/**
 * Chooses the representation and whether it has changed for this client (RFC 9110, 12.5.3, 13.2.2).
 * `ask` is told of the coding the client would rather have had than the one it gets.
 */
export function select(
  document: FeedDocument,
  conditions: Conditions,
  ask?: (document: FeedDocument, name: Encoding) => void,
): Selected {
  const { acceptEncoding } = conditions;
  let asked = false;
  for (const name of acceptEncoding ? preferences(acceptEncoding) : PLAIN) {
    const representation = document.representations.get(name);
    if (!representation) continue;
    // The tag of a coding is known before it is made.
    if (isCurrent(document, representation, conditions)) {
      return { status: 304, headers: representation.notModified, body: undefined };
    }
    const { body, ok } = representation;
    if (body) return { status: 200, headers: ok, body };
    if (!asked) ask?.(document, name);
    asked = true;
  }
  throw new Error('a document has its plain form');
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

const known = new Map<string, readonly Encoding[]>();
const MAX_KNOWN = 500;

/** Codings by the client's weights, best first; `identity`, which nobody can refuse, ends the list. */
export function preferences(header: string): readonly Encoding[] {
  // Clients send a handful of headers over and over.
  let list = known.get(header);
  if (!list) {
    list = readPreferences(header.slice(0, 512));
    if (known.size >= MAX_KNOWN) known.clear();
    if (header.length <= 512) known.set(header, list);
  }
  return list;
}

function readPreferences(header: string): readonly Encoding[] {
  const weights = new Map<string, number>();
  for (const part of header.split(',')) {
    const [name = '', ...parameters] = part.split(';');
    const q = parameters.map((p) => p.trim()).find((p) => /^q=/i.test(p));
    const weight = q === undefined ? 1 : Number(q.slice(2));
    weights.set(name.trim().toLowerCase(), Number.isFinite(weight) ? weight : 0);
  }
  const weightOf = (name: string) => weights.get(name) ?? weights.get('*') ?? 0;
  const plain = weights.get('identity') ?? 0;
  const wanted = ENCODINGS.filter((name) => weightOf(name) > 0 && weightOf(name) >= plain);
  return [...wanted.toSorted((a, b) => weightOf(b) - weightOf(a)), 'identity'];
}
