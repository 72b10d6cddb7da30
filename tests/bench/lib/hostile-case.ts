import { parseCalendar } from '../../../services/ics-proxy/calendar/components.ts';
import { merge } from '../../../services/ics-proxy/calendar/merge.ts';
import { HOSTILE } from '../../../services/ics-proxy/calendar/testing/hostile.ts';

/** One attack: `hostile-case.ts NAME SIZE`; parsed, and merged for both views within 1 MB. */
const [name, size] = process.argv.slice(2);
const bytes = HOSTILE.find((h) => h.name === name)!.make(Number(size));
const before = process.memoryUsage().rss;
const start = process.threadCpuUsage();
const calendar = parseCalendar(bytes);
for (const view of ['full', 'busy'] as const) {
  merge([{ id: 's', calendar, policy: { prefix: 'p ' } }], {
    feed: { id: 'f', name: 'Hostile' },
    view,
    now: Date.UTC(2026, 10, 23),
  });
}
const used = process.threadCpuUsage(start);
process.stdout.write(JSON.stringify({
  cpu: (used.user + used.system) / 1000,
  octets: bytes.length,
  peak: Math.max(0, process.resourceUsage().maxRSS * 1024 - before),
}));
