import { describe, expect, test } from 'vitest';
import { merge } from './merge.ts';
import { sourcePolicySchema } from './policy.ts';
import { calendar, event, feed, NOW, options, source, text } from './testing/calendars.ts';
import { faultsOf } from './testing/validator.ts';

const DAY = 86_400_000;
const shown = { private: 'show' } as const;

describe('what a source adds', () => {
  test('prefix, emoji, colour and category', () => {
    const raw = calendar(event('a', 'SUMMARY:Talk', 'COLOR:blue', 'CATEGORIES:X'));
    const out = text(
      feed({ s: raw }, {}, {
        ...shown,
        emoji: '🔧',
        prefix: '[a, b] ',
        color: 'tomato',
        category: 'A;B',
      }),
    );
    expect(out).toContain('SUMMARY:🔧 [a\\, b] Talk\r\n');
    expect(out).toContain('COLOR:tomato\r\n');
    expect(out).not.toContain('COLOR:blue');
    expect(out).toContain('CATEGORIES:X\r\nCOLOR:tomato\r\nCATEGORIES:A\\;B\r\n');
  });

  test('a title that grows past 75 octets is folded, parameters and characters whole', () => {
    const raw = calendar(event('a', `SUMMARY;LANGUAGE=de:${'ü'.repeat(25)}`));
    const result = feed({ s: raw }, {}, {
      ...shown,
      prefix: 'Fünfzig Zeichen davor, ungefähr, mehr oder weniger ',
    });
    expect(faultsOf(result.bytes)).toEqual([]);
    expect(text(result).replaceAll('\r\n ', '')).toContain(
      `SUMMARY;LANGUAGE=de:Fünfzig Zeichen davor\\, ungefähr\\, mehr oder weniger ${
        'ü'.repeat(25)
      }\r\n`,
    );
  });

  test('alarms go, what else is nested stays', () => {
    const raw = calendar(
      event(
        'a',
        ...[
          'BEGIN:VALARM',
          'ACTION:AUDIO',
          'END:VALARM',
          'BEGIN:VLOCATION',
          'UID:l',
          'END:VLOCATION',
        ],
        ...['BEGIN:valarm', 'ACTION:DISPLAY', 'END:valarm', 'X-AFTER:1'],
      ),
    );
    const out = text(feed({ s: raw }, {}, { ...shown, dropAlarms: true }));
    expect(out).not.toMatch(/alarm/i);
    expect(out).toContain('BEGIN:VLOCATION\r\nUID:l\r\nEND:VLOCATION\r\nX-AFTER:1\r\nEND:VEVENT');
  });

  test('floating times float, until the source is given a zone', () => {
    const raw = calendar(
      event('a', 'DTSTART:20261124T190000', 'EXDATE:20261125T190000', 'RRULE:FREQ=DAILY'),
    );
    expect(text(feed({ s: raw }))).toContain('DTSTART:20261124T190000\r\n');
    const out = text(feed({ s: raw }, {}, { ...shown, assumeTimezone: 'Asia/Kolkata' }));
    expect(out).toContain('DTSTART;TZID=Asia/Kolkata:20261124T190000\r\n');
    expect(out).toContain('EXDATE;TZID=Asia/Kolkata:20261125T190000\r\n');
    expect(out).toContain('BEGIN:VTIMEZONE\r\nTZID:Asia/Kolkata\r\n');
    const named = raw.replace('PRODID', 'X-WR-TIMEZONE:Asia/Tokyo\r\nPRODID');
    expect(text(feed({ s: named }, {}, { ...shown, assumeTimezone: 'X-WR-TIMEZONE' })))
      .toContain('DTSTART;TZID=Asia/Tokyo:20261124T190000\r\n');
  });

  test.each([
    ['DTSTART;TZID=:20261124T190000', 'DTSTART;TZID=Asia/Tokyo:20261124T190000'],
    ['DTSTART;TZID="";X-A=1:20261124T190000', 'DTSTART;TZID=Asia/Tokyo;X-A=1:20261124T190000'],
  ])('an empty TZID is filled, not doubled: %s', (line, expected) => {
    const result = feed({ s: calendar(event('a', line)) }, {}, {
      ...shown,
      assumeTimezone: 'Asia/Tokyo',
    });
    expect(text(result)).toContain(`${expected}\r\n`);
    expect(faultsOf(result.bytes)).toEqual([]);
    const busy = feed({ s: calendar(event('a', line)) }, { view: 'busy' }, {
      assumeTimezone: 'Asia/Tokyo',
    });
    expect(text(busy)).toContain('DTSTART;TZID=Asia/Tokyo:20261124T190000\r\n');
    expect(faultsOf(busy.bytes)).toEqual([]);
  });

  test('an event in a zone keeps it, a stray floating date too, when a zone is assumed', () => {
    const raw = calendar(
      event('a', 'DTSTART;TZID=Europe/Berlin:20261124T190000', 'EXDATE:20261125T190000'),
    );
    const result = feed({ s: raw }, {}, { ...shown, assumeTimezone: 'Asia/Tokyo', prefix: 'x ' });
    expect(text(result)).toContain('EXDATE:20261125T190000\r\n');
    expect(faultsOf(result.bytes)).toEqual([]);
  });

  test('the schema refuses what could break a line or names nothing', () => {
    for (
      const bad of [{ prefix: 'a\r\nb' }, { color: '#ff0000' }, { assumeTimezone: 'Mars/Base' }]
        .concat([{ prefx: 'x' } as never, { window: { past: 5 } } as never, { emoji: '' } as never])
    ) expect(sourcePolicySchema.safeParse(bad).success, JSON.stringify(bad)).toBe(false);
    expect(sourcePolicySchema.parse({ colour: 'Tomato', window: { past: '7d' } }))
      .toEqual({ colour: 'tomato', window: { past: 7 * DAY } });
  });
});

describe('filters', () => {
  const series = calendar(
    event('a', 'SUMMARY:Open evening', 'RRULE:FREQ=WEEKLY', 'CATEGORIES:PUBLIC,Fun\\, too'),
    event(
      'a',
      'SUMMARY:Closed for cleaning',
      'RECURRENCE-ID:20261201T190000Z',
      'DTSTART:20261201T200000Z',
    ),
    event('b', 'SUMMARY:Board', 'CLASS:CONFIDENTIAL', 'CATEGORIES:INTERNAL'),
  );

  test('an excluded override leaves an EXDATE in its master', () => {
    const result = feed({ s: series }, {}, { ...shown, exclude: { summary: ['CLEANING'] } });
    expect(text(result)).toContain('EXDATE:20261201T190000Z\r\n');
    expect(text(result)).not.toContain('cleaning');
    expect(result.report.dropped).toHaveLength(1);
  });

  test('an EXDATE is in the zone, or is the date, of what it takes out', () => {
    const raw = calendar(
      event('a', 'DTSTART;TZID=Europe/Berlin:20261124T190000', 'RRULE:FREQ=DAILY'),
      event('a', 'SUMMARY:x', 'RECURRENCE-ID;TZID=Europe/Berlin:20261125T190000'),
      event('d', 'DTSTART;VALUE=DATE:20261124', 'RRULE:FREQ=DAILY'),
      event('d', 'SUMMARY:x', 'RECURRENCE-ID;VALUE=DATE:20261125', 'DTSTART;VALUE=DATE:20261125'),
    );
    const out = text(feed({ s: raw }, {}, { ...shown, exclude: { summary: ['x'] } }));
    expect(out).toContain('EXDATE;TZID=Europe/Berlin:20261125T190000\r\n');
    expect(out).toContain('EXDATE;VALUE=DATE:20261125\r\n');
  });

  test('an excluded master takes its overrides along', () => {
    const out = text(feed({ s: series }, {}, { ...shown, exclude: { categories: ['fun, too'] } }));
    expect(out).not.toContain('UID:a');
    expect(out).toContain('UID:b');
  });

  test('what is included must match every list; the master speaks for its overrides', () => {
    const only = (include: object) => text(feed({ s: series }, {}, { ...shown, include }));
    expect(only({ summary: ['open'] })).toContain('Closed for cleaning');
    expect(only({ summary: ['open'], class: ['CONFIDENTIAL'] })).not.toContain('BEGIN:VEVENT');
    expect(only({ class: ['CONFIDENTIAL'] })).toContain('UID:b');
  });

  test("the view's filters come on top of the source's", () => {
    const out = text(feed({ s: series }, { policy: { exclude: { class: ['CONFIDENTIAL'] } } }));
    expect(out).not.toContain('UID:b');
  });
});

describe('windows', () => {
  const window = { past: 7 * DAY, future: 30 * DAY };
  const kept = (...lines: string[]) =>
    feed({ s: calendar(event('a', ...lines)) }, { window }).components === 1;

  test.each([
    ['long over', ['DTSTART:20260101T100000Z'], false],
    ['over for three days', ['DTSTART:20261120T100000Z'], true],
    ['far away', ['DTSTART:20270601T100000Z'], false],
    ['began long ago, not over', ['DTSTART:20260101T100000Z', 'DTEND:20261231T100000Z'], true],
    ['began long ago, lasts by DURATION', ['DTSTART:20260101T100000Z', 'DURATION:P52W'], true],
    ['repeats for ever', ['DTSTART:20200101T100000Z', 'RRULE:FREQ=YEARLY'], true],
    [
      'repeated until last year',
      ['DTSTART:20200101T100000Z', 'RRULE:FREQ=DAILY;UNTIL=20251231'],
      false,
    ],
    ['repeats until tomorrow', [
      'DTSTART:20200101T100000Z',
      'RRULE:FREQ=DAILY;UNTIL=20261124T000000Z',
    ], true],
    ['ten times, years ago', ['DTSTART:20200102T100000Z', 'RRULE:FREQ=WEEKLY;COUNT=10'], false],
    [
      'two milliard times',
      ['DTSTART:20200101T100000Z', 'RRULE:FREQ=SECONDLY;COUNT=2000000000'],
      true,
    ],
    ['a leap day five times', ['DTSTART:20160229T100000Z', 'RRULE:FREQ=YEARLY;COUNT=5'], true],
    [
      'an RDATE next week',
      ['DTSTART:20200101T100000Z', 'RDATE:20200201T100000Z,20261130T100000Z'],
      true,
    ],
    ['all day today', ['DTSTART;VALUE=DATE:20261123'], true],
  ])('%s', (_, lines, expected) => expect(kept(...lines)).toBe(expected));

  test('a group stays whole when any of it is within', () => {
    const raw = calendar(
      event('a', 'DTSTART:20200101T100000Z', 'RRULE:FREQ=DAILY;COUNT=3'),
      event('a', 'RECURRENCE-ID:20200102T100000Z', 'DTSTART:20261125T100000Z'),
    );
    expect(feed({ s: raw }, { window }).components).toBe(2);
  });
});

describe('redaction', () => {
  const secrets = calendar(
    event(
      'alice@example.org',
      ...[
        'DTSTART;TZID=Europe/Berlin;X-WHY=secret:20261124T190000',
        'SUMMARY:secret',
        'DESCRIPTION:secret',
      ],
      ...[
        'LOCATION:secret',
        'ATTENDEE;CN=secret:mailto:secret@example.org',
        'X-SECRET:secret',
        'GEO:1;2',
      ],
      ...[
        'RRULE:FREQ=WEEKLY;COUNT=4',
        'EXDATE;TZID=Europe/Berlin:20261201T190000',
        'CATEGORIES:secret',
      ],
      ...['STATUS:secret', 'CLASS:X-secret', 'TRANSP:OPAQUE', 'COMMENT:secret', 'BEGIN:VALARM'],
      ...['DESCRIPTION:secret', 'END:VALARM', 'URL:https://secret.example', 'SEQUENCE:3'],
    ),
  );

  test('the busy view says when and nothing else', () => {
    const result = feed({ secret: secrets }, { view: 'busy' });
    const out = text(result);
    expect(out).not.toMatch(/secret|alice|example\.org/);
    expect(faultsOf(result.bytes)).toEqual([]);
    for (
      const line of [
        'DTSTART;TZID=Europe/Berlin:20261124T190000',
        'RRULE:FREQ=WEEKLY;COUNT=4',
        'SUMMARY:Busy',
      ]
        .concat('EXDATE;TZID=Europe/Berlin:20261201T190000', 'TRANSP:OPAQUE', 'SEQUENCE:3')
    ) expect(out).toContain(`${line}\r\n`);
  });

  test('prefix and category of a source stay out of the busy view; cancelled stays cancelled', () => {
    const raw = calendar(event('a', 'STATUS:CANCELLED', 'TRANSP:TRANSPARENT', 'SUMMARY:x'));
    const out = text(feed({ s: raw }, { view: 'busy' }, { prefix: 'P ', category: 'C' }));
    expect(out).toContain('STATUS:CANCELLED\r\nTRANSP:TRANSPARENT\r\nSUMMARY:Free\r\n');
    expect(out).not.toContain('CATEGORIES');
  });

  test('tasks and journals take no time: they are not in a busy view', () => {
    const todo = event('t', 'SUMMARY:x').replaceAll('VEVENT', 'VTODO');
    expect(feed({ s: calendar(todo) }, { view: 'busy' }).components).toBe(0);
  });

  test('private events of a full view are busy by default; or shown, or dropped', () => {
    const raw = calendar(
      event('p', 'SUMMARY:secret', 'CLASS:private'),
      event('c', 'SUMMARY:secret', 'CLASS:CONFIDENTIAL'),
      event('u', 'SUMMARY:secret', 'CLASS:X-OURS'),
      event('o', 'SUMMARY:open', 'CLASS:PUBLIC'),
    );
    const out = text(feed({ s: raw }, {}, {}));
    expect(out).not.toContain('secret');
    expect(out.match(/SUMMARY:Busy/g)).toHaveLength(3);
    expect(out).toContain('SUMMARY:open');
    expect(text(feed({ s: raw }, {}, { private: 'show' })).match(/secret/g)).toHaveLength(3);
    expect(feed({ s: raw }, {}, { private: 'drop' }).components).toBe(1);
  });

  test('the texts of a VTIMEZONE stay out of the busy view', () => {
    const zone =
      'BEGIN:VTIMEZONE\r\nTZID:Here\r\nCOMMENT:secret\r\nBEGIN:STANDARD\r\nTZNAME:secret\r\n' +
      'DTSTART:19700101T000000\r\nTZOFFSETFROM:+0130\r\nTZOFFSETTO:+0130\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n';
    const raw = calendar(zone, event('a', 'DTSTART;TZID=Here:20261124T190000'));
    expect(text(feed({ s: raw }, { view: 'busy' }))).not.toContain('secret');
    expect(text(feed({ s: raw }))).toContain(zone);
  });
});

describe('size', () => {
  const big = calendar(
    ...Array.from({ length: 400 }, (_, i) =>
      event(
        `e${i}`,
        `DTSTART:${
          20250101 + Math.floor(i / 28) % 12 * 100 + i % 28 + (i >= 200 ? 20_000 : 0)
        }T100000Z`,
        `DESCRIPTION:${'text '.repeat(10)}`,
        ...['BEGIN:VALARM', 'ACTION:DISPLAY', 'DESCRIPTION:x', 'TRIGGER:-PT5M', 'END:VALARM'],
      )),
  );
  const whole = feed({ s: big }, { budgetBytes: Infinity }).bytes.length;

  test.each([[0.9, 'alarms'], [0.6, 'descriptions'], [0.4, 'past'], [0.2, 'far'], [0.02, 'far']])(
    'at %f of the size a feed has lost its %s',
    (share, what) => {
      const budgetBytes = Math.round(whole * share);
      const result = feed({ s: big }, { budgetBytes });
      expect(result.bytes.length).toBeLessThanOrEqual(budgetBytes);
      expect(faultsOf(result.bytes)).toEqual([]);
      expect(result.report.sacrificed.at(-1)!.what).toContain(what);
      expect(text(result)).toContain('SUMMARY:⚠ This calendar is incomplete');
    },
  );

  test('the oldest past events go first, then the farthest', () => {
    const dates = ['20250101', '20250601', '20261124', '20270101', '20280101'];
    const raw = calendar(
      ...dates.map((d) => event(`on-${d}`, `DTSTART:${d}T100000Z`, `LOCATION:${'x'.repeat(1500)}`)),
    );
    const left = (budgetBytes: number) =>
      [...text(feed({ s: raw }, { budgetBytes })).matchAll(/UID:on-(\d+)/g)].map((m) => m[1]);
    expect(left(8500)).toEqual(dates.slice(1));
    expect(left(6800)).toEqual(dates.slice(2));
    expect(left(5100)).toEqual(dates.slice(2, 4));
  });

  test('one event larger than the feed may be goes, and the feed says so', () => {
    const result = feed({ s: calendar(event('a', `LOCATION:${'x'.repeat(50_000)}`)) }, {
      budgetBytes: 10_000,
    });
    expect(result.components).toBe(1);
    expect(text(result)).toContain('incomplete');
  });
});

test('a stale source is told of in the feed only when asked for', () => {
  const stale = {
    ...source('space', calendar(event('a')), shown),
    stale: { since: NOW - 3 * DAY },
  };
  expect(merge([stale], options()).components).toBe(1);
  const told = merge([stale], options({ staleNotice: true }));
  expect(text(told)).toContain('SUMMARY:⚠ Not up to date: space\r\n');
  expect(faultsOf(told.bytes)).toEqual([]);
});
