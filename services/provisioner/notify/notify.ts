import type { TenantState } from '../tenant/record.ts';

/** What a member is told about a tenant. */
export interface Notice {
  kind: TenantState;
  name: string;
  /** When the next step comes (RFC 3339), if nothing changes. */
  due?: string;
}

/** Tells people. Throws AppError `unavailable` when it did not get through; the sweep tries again. */
export interface Notifier {
  tellMember(address: string, notice: Notice): Promise<void>;
  tellAdmin(text: string): Promise<void>;
  /** Asks the other side as far as that goes without telling anybody anything. */
  check?(): Promise<void>;
}

/** Tells nobody, which counts as told: for spaces that write to their members by hand. */
export const silent: Notifier = {
  async tellMember() {},
  async tellAdmin() {},
};

/** Several ways at once; told when all of them worked. */
export function everyWay(notifiers: readonly Notifier[]): Notifier {
  return {
    async tellMember(address, notice) {
      for (const notifier of notifiers) await notifier.tellMember(address, notice);
    },
    async tellAdmin(text) {
      for (const notifier of notifiers) await notifier.tellAdmin(text);
    },
    async check() {
      for (const notifier of notifiers) await notifier.check?.();
    },
  };
}
