import { describe, expect, test } from 'vitest';
import { parseCalendar } from './components.ts';
import { merge } from './merge.ts';
import { calendar, event, options, text } from './testing/calendars.ts';
import { faultsOf } from './testing/validator.ts';

function out(bytes: Uint8Array | string) {
  const input = typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes;
  const source = { id: 's', calendar: parseCalendar(input), policy: { private: 'show' as const } };
  const result = merge([source], options());
  expect(faultsOf(result.bytes)).toEqual([]);
  return { text: text(result), result, calendar: source.calendar };
}
const plain = calendar(event('a', 'SUMMARY:Käse ⚡', `DESCRIPTION:${'lang '.repeat(10)}`));
const expected = event('a', 'SUMMARY:Käse ⚡', `DESCRIPTION:${'lang '.repeat(10)}`);

describe('lines that are not as they should be are read all the same', () => {
  test.each([
    ['as they should be', plain],
    ['a byte order mark', `\ufeff${plain}`],
    ['LF', plain.replaceAll('\r\n', '\n')],
    ['bare CR', plain.replaceAll('\r\n', '\r')],
    [
      'all kinds of breaks',
      plain.replace('\r\n', '\r').replace('\r\n', '\n').replace('\r\n', '\r\r\n'),
    ],
    ['blank lines', plain.replaceAll('\r\n', '\r\n\r\n')],
    ['no break at the end', plain.trimEnd()],
    ['no END:VCALENDAR', plain.replace('END:VCALENDAR\r\n', '')],
    ['no END at all', plain.replace('END:VEVENT\r\nEND:VCALENDAR\r\n', '')],
    ['no VCALENDAR at all', expected],
    ['indented', plain.replaceAll('\r\n', '\n').replaceAll(/^(?!.*VCALENDAR)/gm, '    ')],
    [
      'indented by tabs, deeper inside',
      plain.replaceAll('\r\n', '\n').replace(/^(?!.*VCALENDAR)/gm, '\t').replace(
        /^\t(?!.*VEVENT)/gm,
        '\t\t',
      ),
    ],
    [
      'blanks around BEGIN and END',
      plain.replaceAll('BEGIN:VEVENT', 'BEGIN: VEVENT ').replace('END:VEVENT', 'END:VEVENT\t'),
    ],
    ['a folded name', plain.replace('DTSTART', 'DTST\r\n ART')],
    ['a folded BEGIN', plain.replace('BEGIN:VEVENT', 'BEGIN:VEV\r\n ENT')],
  ])('%s', (_, raw) => {
    expect(out(raw).text).toContain(expected);
  });

  test('names in lower case stay so, but for BEGIN and END, by which readers take a feed apart', () => {
    const raw = plain.replaceAll(/^[A-Z-]+(?=[:;])/gm, (name) => name.toLowerCase());
    expect(out(raw).text).toContain('BEGIN:VEVENT\r\nuid:a\r\n');
    const small = plain.replaceAll(/^(BEGIN|END):.*$/gm, (line) => line.toLowerCase());
    expect(out(small).text).toBe(out(plain).text);
  });

  test('a fold inside a character, and lines of 200 octets', () => {
    const bytes = Buffer.from(calendar(event('a', 'SUMMARY:K@se', `LOCATION:${'ö'.repeat(100)}`)));
    const at = bytes.indexOf('@');
    const cut = Buffer.concat([
      bytes.subarray(0, at),
      Buffer.from([0xc3, 13, 10, 32, 0xa4]),
      bytes.subarray(at + 1),
    ]);
    const made = out(cut).text;
    expect(made).toContain('SUMMARY:Käse\r\n');
    expect(made.replaceAll('\r\n ', '')).toContain(`LOCATION:${'ö'.repeat(100)}\r\n`);
  });

  test('several VCALENDARs in one file', () => {
    expect(out(plain + calendar(event('b')) + '\r\n' + calendar(event('c'))).result.components)
      .toBe(3);
  });

  test('windows-1252, UTF-16 and control characters', () => {
    expect(out(Buffer.from(plain.replace('⚡', ''), 'latin1')).text).toContain('SUMMARY:Käse');
    expect(out(Buffer.from(`\ufeff${plain}`, 'utf16le')).text).toContain(expected);
    expect(out(plain.replace('Käse', 'K\u0000ä\u000bse')).text).toContain(expected);
  });

  test('a UID, a DTSTAMP and an END that are missing are put in', () => {
    const raw = calendar('BEGIN:VEVENT\r\nDTSTART:20261124T190000Z\r\nSUMMARY:x\r\nEND:VEVENT\r\n');
    const made = out(raw).text;
    expect(made).toMatch(
      /BEGIN:VEVENT\r\nUID:[0-9a-f]{32}@no-uid\.hackspace\r\nDTSTAMP:19700101T000000Z\r\n/,
    );
    expect(out(raw).text).toBe(made);
  });
});

test('a nameless component whose END is missing stands where it will stand the next time', () => {
  const extra = Array.from({ length: 8 }, (_, i) => `BEGIN:X-${i}\r\nX-N:${i}\r\nEND:X-${i}\r\n`);
  const raw = `BEGIN:VCALENDAR\r\n${extra.join('')}`.replace(/END:X-7\r\n$/, '');
  const once = out(raw);
  expect(once.result.components).toBe(8);
  expect(out(once.result.bytes).text).toBe(once.text);
});

describe('one bad component is quarantined, with the reason and the line', () => {
  test.each([
    ['a line without a colon', ['SUMMARY:a', 'lost words'], 14, /not of the form/],
    ['an unclosed quote', ['X;A="b:c'], 13, /not of the form/],
    ['two TZIDs on one line', ['X;TZID=A;TZID=B:c'], 13, /not of the form/],
    ['no such day', ['DTSTART:20260230T100000Z'], 12, /DTSTART is no date/],
    [
      'two DTSTARTs',
      ['DTSTART:20261124T190000Z', 'DTSTART:20261124T190000Z'],
      13,
      /DTSTART occurs twice/,
    ],
    ['two UIDs, one empty', ['UID:'], 13, /UID occurs twice/],
    ['a rule that is none', ['RRULE:FREQ=SOMETIMES'], 13, /RRULE/],
    ['an END of another', ['END:VTODO'], 13, /END:VTODO without its BEGIN/],
    ['END with parameters', ['END;X=1:VEVENT'], 13, /END has parameters/],
    ['an alarm that does not end', ['BEGIN:VALARM'], 14, /VALARM has no END/],
  ])('%s', (_, lines, line, reason) => {
    const { result, calendar: parsed } = out(
      calendar(event('good'), event('bad', ...lines), event('too')),
    );
    expect(result.components).toBe(2);
    expect(parsed.quarantined).toHaveLength(1);
    expect(parsed.quarantined[0]!.reason).toMatch(reason);
    expect(parsed.quarantined[0]!.line).toBe(line);
    expect(Buffer.from(parsed.quarantined[0]!.bytes).toString()).toMatch(
      /^BEGIN:VEVENT\r\nUID:bad/,
    );
  });

  test('an event whose END is missing does not swallow the next', () => {
    const { result, calendar: parsed } = out(
      calendar(event('bad').replace('END:VEVENT\r\n', ''), event('good')),
    );
    expect(result.components).toBe(1);
    expect(parsed.quarantined[0]!.reason).toBe('No END:VEVENT before BEGIN:VEVENT');
  });

  test('the line is that of the file as it came, mended or not', () => {
    const raw = calendar(event('good'), event('bad', 'lost')).replaceAll('\r\n', '\n\n').replace(
      '\n\n',
      '\n \n',
    );
    const { calendar: parsed } = out(raw);
    const lines = raw.split('\n');
    expect(lines[parsed.quarantined[0]!.line - 1]).toBe('lost');
  });

  test('HTML is no calendar', () => {
    expect(out('<html>\n<body>no</body>\n</html>').calendar).toMatchObject({
      calendars: 0,
      quarantinedCount: 1,
    });
  });

  test.each([[''], ['\r\n'], ['\0'], [' '], ['\ufeff'], ['BEGIN:'], ['END:VCALENDAR'], [
    'BEGIN:VCALENDAR',
  ]])(
    'next to nothing: %j',
    (raw) => expect(out(raw).result.components).toBe(0),
  );
});
