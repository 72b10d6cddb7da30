import { describe, test } from 'vitest';
import { cases } from './testing/caldav-cases.ts';

describe('CalDAV source against a simulator that lies', () => {
  for (const [name, run] of Object.entries(cases)) test(name, run);
});
