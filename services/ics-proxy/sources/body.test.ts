import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkCalendar } from './body.ts';
import { Fault } from './fault.ts';

const check = (text: string) => {
  try {
    checkCalendar(Buffer.from(text));
    return 'good';
  } catch (fault) {
    return (fault as Fault).message;
  }
};
const V = 'BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR';

test.each([
  [V, 'good'],
  [`\uFEFF${V}\r\n`, 'good'],
  [` \n\t${V}`, 'good'],
  [V.toLowerCase(), 'good'],
  [V.replaceAll('\r\n', '\r'), 'good'],
  [`${V}\n${V}\n\0`, 'good'],
  [`X-JUNK:1\n${V}\n-- generated in 3 ms`, 'good'],
  ['', 'answer is empty'],
  [' \r\n', 'answer is empty'],
  [`<!DOCTYPE html>\n${V}`, 'answer is HTML'],
  ['<HTML>', 'answer is HTML'],
  ['  <?xml version="1.0"?>', 'answer is XML'],
  ['hello', 'answer holds no BEGIN:VCALENDAR'],
  ['SUMMARY:BEGIN:VCALENDAR END:VCALENDAR', 'answer holds no BEGIN:VCALENDAR'],
  [V.slice(0, -3), 'answer is truncated: END:VCALENDAR is missing'],
  [`${V}\nBEGIN:VCALENDAR\n`, 'answer is truncated: END:VCALENDAR is missing'],
  ['BEGIN:VCALENDAR\nDESCRIPTION:END:VCALENDAR', 'answer is truncated: END:VCALENDAR is missing'],
])('%j is %s', (text, verdict) => expect(check(text)).toBe(verdict));

test('throws nothing but a Fault, whatever comes', () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => {
    try {
      checkCalendar(bytes);
    } catch (fault) {
      expect(fault).toBeInstanceOf(Fault);
    }
  }));
});

test('takes large hostile bodies', () => {
  const size = 8_000_000;
  for (
    const part of [
      'BEGIN:VCALENDAR',
      'END:VCALENDAR',
      'xBEGIN:VCALENDAR',
      'b',
      ' ',
      '\nBEGIN:VCALENDA',
    ]
  ) {
    check(`BEGIN:VCALENDAR\n${part.repeat(size / part.length)}`);
  }
});
