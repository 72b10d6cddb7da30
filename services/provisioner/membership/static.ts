import { AppError, describe } from '@hackspace/kit/errors.ts';
import { getLogger } from '@hackspace/kit/log.ts';
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { z } from 'zod';
import type { Answer } from '../tenant/lifecycle.ts';
import { type Subject, subjectKey } from '../tenant/record.ts';
import type { Membership } from './membership.ts';

const log = getLogger(['provisioner', 'members']);

const schema = z.strictObject({
  members: z.array(z.strictObject({
    iss: z.string().min(1),
    sub: z.string().min(1),
    email: z.email().optional(),
  })).min(1),
});

/**
 * A list in a file, for small spaces. Read anew on each question, so an edit counts at once; a file
 * that is missing, broken or empty is an accident and makes every answer `unknown`.
 */
export function staticList(path: string): Membership {
  async function members(): Promise<Map<string, string | undefined>> {
    try {
      const { members } = schema.parse(parse(await readFile(path, 'utf8')));
      return new Map(members.map((m) => [subjectKey(m), m.email]));
    } catch (cause) {
      throw new AppError('unavailable', `Cannot read the list of members ${path}`, { cause });
    }
  }
  async function checkAll(subjects: readonly Subject[]): Promise<Answer[]> {
    try {
      const list = await members();
      return subjects.map((subject) => (list.has(subjectKey(subject)) ? 'yes' : 'no'));
    } catch (error) {
      log.warn('no answers about members', { error: describe(error) });
      return subjects.map(() => 'unknown');
    }
  }
  return {
    check: async (subject) => (await checkAll([subject]))[0]!,
    checkAll,
    async selfTest() {
      await members();
    },
    async addressOf(subject) {
      return (await members()).get(subjectKey(subject));
    },
  };
}
