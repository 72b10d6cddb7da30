import { afterAll, beforeAll, describe, test } from 'vitest';
import { startFaultyUpstream, type Upstream } from './testing/faulty-upstream.ts';
import { cases } from './testing/http-cases.ts';

describe('http source against a faulty upstream', () => {
  let upstream: Upstream;
  beforeAll(async () => void (upstream = await startFaultyUpstream()));
  afterAll(() => upstream[Symbol.asyncDispose]());
  for (const [name, run] of Object.entries(cases)) test(name, () => run(upstream));
});
