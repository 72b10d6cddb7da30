import type { Answer } from '../tenant/lifecycle.ts';
import type { Subject } from '../tenant/record.ts';

/** What a verified login carries; a token without groups has no `groups` claim at all. */
export interface Claims {
  groups?: readonly string[] | undefined;
}

/**
 * Who pays? `unknown` whenever that cannot be told for certain: it never admits anybody and never
 * takes anything away. None of these calls throws for want of an answer.
 */
export interface Membership {
  check(subject: Subject, claims?: Claims): Promise<Answer>;
  /** Answers for many at once, in the order given. */
  checkAll(subjects: readonly Subject[]): Promise<Answer[]>;
  /** Throws AppError with the reason when the answers cannot be trusted. */
  selfTest(): Promise<void>;
  /** An e-mail address to write to; never logged, never committed. */
  addressOf(subject: Subject): Promise<string | undefined>;
}
