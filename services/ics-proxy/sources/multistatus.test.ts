import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Fault } from './fault.ts';
import { escapeXml, parseMultistatus } from './multistatus.ts';

const parse = (xml: string) => parseMultistatus(Buffer.from(xml));
const response = (inner: string) =>
  parse(`<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">${inner}</D:multistatus>`);
const ok = (props: string) =>
  response(
    `<D:response><D:href>/c/</D:href><D:propstat><D:prop>${props}</D:prop>` +
      '<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>',
  ).responses[0]!;

describe('parseMultistatus', () => {
  test('properties answered with 200, and no others', () => {
    const { responses, syncToken } = response(`
      <D:sync-token>http://x/1</D:sync-token>
      <D:response><D:href> /a%20b.ics </D:href>
        <D:propstat><D:prop><D:getetag>"1"</D:getetag></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>
        <D:propstat><D:prop><sync-token>no</sync-token></D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat>
      </D:response>
      <D:response><D:href>/gone.ics</D:href><D:status>HTTP/1.1 404 Not Found</D:status></D:response>`);
    expect(syncToken).toBe('http://x/1');
    expect(responses[0]).toMatchObject({ href: '/a%20b.ics', etag: '"1"', syncToken: undefined });
    expect(responses[1]).toMatchObject({ href: '/gone.ics', status: 404 });
  });

  test('what a collection says of itself', () => {
    expect(ok(`
      <D:resourcetype><D:collection/><x:calendar xmlns:x="urn:ietf:params:xml:ns:caldav"/></D:resourcetype>
      <D:current-user-principal><D:href>/p/</D:href></D:current-user-principal>
      <C:calendar-home-set xmlns:C="c"><D:href>/h1/</D:href><D:href>/h2/</D:href></C:calendar-home-set>
      <D:supported-report-set><D:supported-report><D:report><D:sync-collection/></D:report></D:supported-report></D:supported-report-set>
      <C:supported-calendar-component-set xmlns:C="c"><C:comp name="VEVENT"/><C:comp name="vtodo"/></C:supported-calendar-component-set>`))
      .toMatchObject({
        isCalendar: true,
        principal: '/p/',
        homes: ['/h1/', '/h2/'],
        reports: ['sync-collection'],
        components: ['VEVENT', 'VTODO'],
      });
  });

  test('calendar data: entities once, CDATA not at all, numbers stay text', () => {
    const data = (xml: string) => ok(`<C:calendar-data xmlns:C="c">${xml}</C:calendar-data>`).data;
    expect(data('A &amp;amp; &lt;b&gt; &#13;&#x1F600; &nbsp;')).toBe('A &amp; <b> \r😀 &nbsp;');
    expect(data('<![CDATA[A &amp; <b> <!DOCTYPE html>]]>')).toBe('A &amp; <b> <!DOCTYPE html>');
    expect(data('0012')).toBe('0012');
  });

  test.each([
    ['<!DOCTYPE x [<!ENTITY a "ha">]><multistatus>&a;</multistatus>', /not the XML/],
    [
      '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;">]><multistatus/>',
      /not the XML/,
    ],
    ['<html><body>no</body></html>', /not a multistatus/],
    ['hello', /not the XML/],
    ['', /not the XML/],
    ['<a>'.repeat(100_000), /not well-formed/],
    ['<multistatus><response>', /not a multistatus|not well-formed/],
  ])('refuses %.60s', (xml, why) => {
    let outcome: unknown;
    try {
      outcome = parse(xml);
    } catch (error) {
      outcome = error;
    }
    // unclosed tags at the end are forgiven by the parser; what is there must then be empty
    if (outcome instanceof Error) expect(outcome.message).toMatch(why);
    else expect(outcome).toMatchObject({ responses: [{ href: '' }] });
  });

  test('names that are special to JavaScript get nowhere', () => {
    for (const name of ['__proto__', 'constructor', 'prototype']) {
      expect(() => ok(`<${name}><getetag>x</getetag></${name}>`)).toThrow(Fault);
    }
    for (const name of ['toString', 'hasOwnProperty', 'valueOf']) {
      expect(ok(`<${name}><getetag>x</getetag></${name}>`).etag).toBeUndefined();
    }
    expect(({} as Record<string, unknown>).getetag).toBeUndefined();
  });

  test('throws nothing but a Fault, whatever comes', () => {
    const pieces = fc.constantFrom(
      ...[
        '<multistatus>',
        '</multistatus>',
        '<response>',
        '</response>',
        '<href>',
        '</href>',
        '&lt;',
      ],
      ...[
        '<![CDATA[',
        ']]>',
        '<!--',
        '-->',
        '<?xml?>',
        '<prop ',
        'a="',
        '>',
        '/',
        '&#0;',
        '&#xffffffff;',
      ],
    );
    fc.assert(fc.property(fc.array(fc.oneof(pieces, fc.string())), (parts) => {
      try {
        parse(parts.join(''));
      } catch (fault) {
        expect(fault).toBeInstanceOf(Fault);
      }
    }));
  });
});

test('escapeXml', () => expect(escapeXml('a<b>&"c')).toBe('a&#60;b&#62;&#38;&#34;c'));
