import { duration } from '@hackspace/kit/config.ts';
import { z } from 'zod';
import { CSS_COLORS } from './colors.ts';
import { zoneExists } from './zone-names.ts';

/** Text that goes into a property: one line, no control characters. */
function line(most: number) {
  // deno-lint-ignore no-control-regex -- controls are what is refused
  return z.string().min(1).max(most).regex(/^[^\x00-\x1f\x7f]*$/, 'must be one line of text');
}

const color = z.string().transform((c) => c.toLowerCase()).refine((c) => CSS_COLORS.has(c), {
  error: 'must be a CSS colour name such as tomato (RFC 7986 knows no others)',
});

const matcher = z.strictObject({
  categories: z.array(line(200)).min(1).max(200).optional().describe(
    "Any of the event's CATEGORIES equals one of these, whatever the case.",
  ),
  summary: z.array(line(200)).min(1).max(200).optional().describe(
    'SUMMARY contains one of these, whatever the case.',
  ),
  class: z.array(z.enum(['PUBLIC', 'PRIVATE', 'CONFIDENTIAL'])).min(1).optional().describe(
    'CLASS is one of these; an event without CLASS is PUBLIC.',
  ),
});

const window = z.strictObject({
  past: duration().optional().describe('Events that ended longer ago than this are left out.'),
  future: duration().optional().describe(
    'Events that begin later than this from now are left out.',
  ),
});

/** What may be asked of a source as well as of a whole view. */
const shared = {
  include: matcher.optional().describe('Keep only what matches every list given.'),
  exclude: matcher.optional().describe('Leave out what matches any list given.'),
  dropAlarms: z.boolean().optional(),
  window: window.optional(),
};

/** How one source's events appear in the feed. Spread `.shape` into a source's own schema. */
export const sourcePolicySchema = z.strictObject({
  ...shared,
  prefix: line(100).optional().describe('Put before every SUMMARY, as it is: write the blank too.'),
  emoji: line(32).optional().describe('Put before the prefix, with a blank between.'),
  color: color.optional(),
  colour: color.optional(),
  category: line(100).optional().describe("Added to every event's CATEGORIES."),
  assumeTimezone: z.string().refine((name) => name === 'X-WR-TIMEZONE' || zoneExists(name), {
    error: 'must be an IANA time zone such as Europe/Berlin, or X-WR-TIMEZONE',
  }).optional().describe(
    "The zone of times that name none. Without it they float with the reader. `X-WR-TIMEZONE` takes the zone that the source's own header names.",
  ),
  private: z.enum(['busy', 'show', 'drop']).optional().describe(
    'Events with CLASS:PRIVATE or CONFIDENTIAL: shown as busy (default), whole, or not at all.',
  ),
});
export type SourcePolicy = z.output<typeof sourcePolicySchema>;

/** How one view of a feed differs from its sources. */
export const viewPolicySchema = z.strictObject(shared);
export type ViewPolicy = z.output<typeof viewPolicySchema>;
export type Matcher = z.output<typeof matcher>;
export type Window = z.output<typeof window>;
