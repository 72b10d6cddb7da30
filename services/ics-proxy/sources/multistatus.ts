import { XMLParser } from 'fast-xml-parser';
import { Fault } from './fault.ts';

/** One `response` of a multistatus (RFC 4918, 14.24); properties the server answered with 200. */
export interface DavResponse {
  href: string;
  /** Of the whole resource, where the server gave one instead of properties. */
  status: number | undefined;
  isCalendar: boolean;
  principal: string | undefined;
  homes: string[];
  syncToken: string | undefined;
  ctag: string | undefined;
  etag: string | undefined;
  /** `calendar-data`, whole. */
  data: string | undefined;
  /** Reports the resource knows, `sync-collection` among them; empty when it does not say. */
  reports: string[];
  /** Component types it takes; empty when it does not say. */
  components: string[];
}

export interface Multistatus {
  responses: DavResponse[];
  /** Of the collection, from a sync-collection report. */
  syncToken: string | undefined;
}

type Xml = string | { [name: string]: Xml | Xml[] } | undefined;

// Entities are undone here (the five, and numbers) and nowhere else: none can be declared.
const parser = new XMLParser({
  removeNSPrefix: true,
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  parseTagValue: false,
  processEntities: false,
  cdataPropName: '#cdata',
  maxNestedTags: 40,
});

/** Reads a 207's body, its size capped by the caller. Untrusted. Throws Fault. */
export function parseMultistatus(bytes: Uint8Array): Multistatus {
  const text = new TextDecoder().decode(bytes);
  const root = /<[A-Za-z]/.exec(text);
  if (!root || /<!DOCTYPE|<!ENTITY/i.test(text.slice(0, root.index))) {
    throw new Fault('answer is not the XML of a CalDAV server');
  }
  let document: Xml;
  try {
    document = parser.parse(text) as Xml;
  } catch {
    throw new Fault('answer is not well-formed XML');
  }
  const multistatus = child(document, 'multistatus');
  if (multistatus === undefined) throw new Fault('answer is not a multistatus');
  return {
    responses: children(multistatus, 'response').map(parseResponse),
    syncToken: textOf(child(multistatus, 'sync-token')),
  };
}

function parseResponse(response: Xml): DavResponse {
  const good = children(response, 'propstat').filter((stat) => statusOf(stat) === 200)
    .flatMap((stat) => children(stat, 'prop'));
  const property = (name: string) =>
    good.map((prop) => child(prop, name)).find((p) => p !== undefined);
  const names = (node: Xml) => typeof node === 'object' ? Object.keys(node) : [];
  return {
    href: textOf(child(response, 'href')) ?? '',
    status: statusOf(response),
    isCalendar: names(property('resourcetype')).includes('calendar'),
    principal: textOf(child(property('current-user-principal'), 'href')),
    homes: children(property('calendar-home-set'), 'href').map(textOf).filter((href) =>
      href !== undefined
    ),
    syncToken: textOf(property('sync-token')),
    ctag: textOf(property('getctag')),
    etag: textOf(property('getetag')),
    data: textOf(property('calendar-data')),
    reports: children(property('supported-report-set'), 'supported-report')
      .flatMap((each) => names(child(each, 'report'))),
    components: children(property('supported-calendar-component-set'), 'comp')
      .map((comp) => textOf(child(comp, '@name'))?.toUpperCase() ?? ''),
  };
}

function children(node: Xml, name: string): Xml[] {
  if (typeof node !== 'object' || !Object.hasOwn(node, name)) return [];
  const value = node[name];
  return Array.isArray(value) ? value : [value];
}

function child(node: Xml, name: string): Xml {
  return children(node, name)[0];
}

function statusOf(node: Xml): number | undefined {
  const found = /^HTTP\/\S+ (\d{3})/.exec(textOf(child(node, 'status')) ?? '');
  return found ? Number(found[1]) : undefined;
}

function textOf(node: Xml): string | undefined {
  if (typeof node === 'string') return node === '' ? undefined : decode(node);
  if (node === undefined) return undefined;
  const plain = children(node, '#text').map((part) => decode(String(part)));
  const verbatim = children(node, '#cdata').map(String);
  return [...plain, ...verbatim].join('') || undefined;
}

const NAMED: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

function decode(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(
    /&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|([a-z]{2,4}));/g,
    (all, dec, hex, name) => {
      if (name !== undefined) return Object.hasOwn(NAMED, name) ? NAMED[name]! : all;
      const code = dec === undefined ? Number.parseInt(hex, 16) : Number(dec);
      return code <= 0x10ffff && code !== 0 ? String.fromCodePoint(code) : all;
    },
  );
}

/** For text inside XML we write. */
export function escapeXml(text: string): string {
  return text.replace(/[<>&"]/g, (c) => `&#${c.charCodeAt(0)};`);
}
