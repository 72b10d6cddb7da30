/** Each node its own small state machine: look, decide, act, sleep; woken at once when something ends. */
import { AppError, describe } from '@hackspace/kit/errors.ts';
import { rateLimit } from '@hackspace/kit/guard.ts';
import { getLogger } from '@hackspace/kit/log.ts';
import type { Alerts } from './alerts.ts';
import { type Action, decide, type Observation, type Policy } from './decide.ts';
import * as past from './history.ts';
import type { HoldSwitch } from './hold.ts';
import type { UnsealMetrics } from './metrics.ts';
import type { BaoNode, Sent } from './openbao.ts';
import type { HeldShare } from './shares.ts';

const log = getLogger(['unsealer', 'loop']);
const delay = (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms));

export interface ClusterPlan {
  id: string;
  policy: Omit<Policy, 'elected'>;
  shares: HeldShare[];
  /** Milliseconds after which a sealed node is an alert. */
  sealedTooLong: number;
}

export interface NodePlan {
  id: string;
  connect(onClose: () => void): BaoNode;
}

export interface LoopPorts {
  hold: HoldSwitch;
  metrics: UnsealMetrics;
  alerts: Alerts;
  elected: () => boolean;
  /** Monotonic milliseconds. */
  clock?: () => number;
  random?: () => number;
}

/** One node as people and scripts see it. */
export interface NodeStatus {
  cluster: string;
  node: string;
  state: string;
  /** ISO 8601: since when it has been in this state. */
  since: string;
  /** What the helper does next, or why it does not. */
  why: string;
  text: string;
  sharesSent: number;
  failures: number;
}

export interface ClusterLoop {
  readonly plan: ClusterPlan;
  add(node: NodePlan): void;
  remove(node: string): void;
  /** Looks at every node at once; resolves when each has been looked at, or after `limit` ms. */
  wake(limit?: number): Promise<void>;
  /** A human vouches for a cold start, for `ms`. */
  confirm(ms: number): void;
  status(): NodeStatus[];
  stop(): Promise<void>;
}

class Held extends AppError {
  override readonly name = 'Held';
}

export function startCluster(plan: ClusterPlan, ports: LoopPorts): ClusterLoop {
  const clock = ports.clock ?? (() => performance.now());
  const nodes = new Map<string, NodeLoop>();
  let confirmedUntil = -Infinity;
  const fresh = plan.policy.poll.idle * 2 + 5000;

  const context: Context = {
    plan,
    ports,
    clock,
    around(self) {
      const others = [...nodes.values()].filter((node) => node !== self);
      const peers = others.flatMap((node) => {
        const open = node.open();
        return open && clock() - open.at <= fresh ? [{ node: node.id, ...open }] : [];
      });
      return { peers, looked: others.every((node) => node.seen !== undefined), confirmedUntil };
    },
  };
  return {
    plan,
    add(node) {
      if (!nodes.has(node.id)) nodes.set(node.id, new NodeLoop(node, context));
    },
    remove(id) {
      void nodes.get(id)?.stop();
      nodes.delete(id);
    },
    async wake(limit = 2000) {
      const late = new Promise<void>((resolve) => void setTimeout(resolve, limit).unref());
      await Promise.race([Promise.all([...nodes.values()].map((node) => node.wake())), late]);
    },
    confirm(ms) {
      confirmedUntil = clock() + ms;
      for (const node of nodes.values()) void node.wake();
    },
    status: () => [...nodes.values()].map((node) => node.status()),
    async stop() {
      await Promise.all([...nodes.values()].map((node) => node.stop()));
    },
  };
}

interface Context {
  plan: ClusterPlan;
  ports: LoopPorts;
  clock: () => number;
  around(self: NodeLoop): past.Around;
}

class NodeLoop {
  readonly id: string;
  seen: Observation | undefined;
  #history = past.NEW;
  #action: Action = { do: 'wait', why: 'looking', text: 'not looked at yet', next: 0 };
  #sent = 0;
  #lookedAt = 0;
  #downAt: number | undefined;
  #stopped = false;
  #wake = () => {};
  #waiters: (() => void)[] = [];
  readonly #bao: BaoNode;
  readonly #context: Context;
  readonly #done: Promise<void>;
  // A server that hangs up after each answer must not make us hammer it.
  readonly #closes = rateLimit({ points: 20, perMs: 60_000, maxKeys: 1 });

  constructor(node: NodePlan, context: Context) {
    this.id = node.id;
    this.#context = context;
    this.#bao = node.connect(() => {
      if (this.#closes.take('close').ok) this.#wake();
    });
    context.ports.metrics.known(context.plan.id, this.id);
    this.#history = { ...past.NEW, since: context.clock() };
    this.#done = this.#run();
  }

  /** The cluster this node last showed while open, and when. */
  open(): { clusterId: string; at: number } | undefined {
    if (this.seen?.kind !== 'answered' || this.seen.seal.sealed) return undefined;
    return { clusterId: this.seen.seal.clusterId ?? '', at: this.#lookedAt };
  }

  /** Resolves after a look that began after this call. */
  wake(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
      this.#wake();
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#bao.close();
    this.#wake();
    await this.#done;
  }

  status(): NodeStatus {
    const { clock, plan } = this.#context;
    const action = this.#action;
    return {
      cluster: plan.id,
      node: this.id,
      state: this.seen ? past.stateOf(this.seen) : 'unknown',
      since: new Date(Date.now() - (clock() - this.#history.since)).toISOString(),
      why: action.do === 'wait' || action.do === 'latch' ? action.why : action.do,
      text: action.do === 'send' ? 'sending a share' : action.text,
      sharesSent: this.#sent,
      failures: this.#history.failures,
    };
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      let woken = false;
      const sleep = new Promise<void>((resolve) => {
        this.#wake = () => {
          woken = true;
          resolve();
        };
      });
      const waiters = this.#waiters.splice(0);
      let next = 1000;
      try {
        next = await this.#step();
      } catch (error) {
        log.error('look failed', { ...this.#label(), error: describe(error) });
      }
      for (const waiter of waiters) waiter();
      if (this.#stopped) break;
      if (woken) {
        await delay(Math.min(next, this.#context.plan.policy.poll.sealed));
        continue;
      }
      // The jitter keeps helpers that started together from staying together.
      const jitter = 0.8 + 0.4 * (this.#context.ports.random ?? Math.random)();
      const timer = setTimeout(this.#wake, next * jitter);
      await sleep;
      clearTimeout(timer);
    }
    for (const waiter of this.#waiters.splice(0)) waiter();
  }

  #policy(): Policy {
    return { ...this.#context.plan.policy, elected: this.#context.ports.elected() };
  }

  #label() {
    return { cluster: this.#context.plan.id, node: this.id };
  }

  /** One look and what follows from it; returns milliseconds until the next. */
  async #step(): Promise<number> {
    const { ports, plan, clock } = this.#context;
    const seen = await this.#bao.look();
    if (this.#stopped) return 0;
    this.#note(seen);
    // At most every share once, one reset, and the decision to wait.
    for (let turn = 0; turn < plan.shares.length + 2; turn++) {
      const history = { ...this.#history, ...this.#context.around(this) };
      const now = clock();
      const action = decide(this.seen!, this.#policy(), history, ports.hold.current(), now);
      this.#tell(action);
      if (action.do === 'wait') return action.next;
      if (action.do === 'latch') {
        await this.#latch(action);
        return plan.policy.poll.idle;
      }
      const answer = action.do === 'send' ? await this.#send(action.share) : await this.#reset();
      if (!answer) return plan.policy.poll.sealed;
      if (answer.kind === 'refused') return plan.policy.poll.sealed;
      this.#note(answer);
    }
    return plan.policy.poll.sealed;
  }

  #note(seen: Observation): void {
    const { plan, clock, ports } = this.#context;
    const now = clock();
    const before = this.seen;
    const { failures } = this.#history;
    this.#history = past.afterLook(this.#history, before, seen, plan.policy, now);
    this.seen = seen;
    this.#lookedAt = now;
    if (this.#history.failures > failures) {
      ports.metrics.failed(plan.id, this.id);
      log.warn('set of shares came to nothing', { ...this.#label(), failures: failures + 1 });
    }
    const state = past.stateOf(seen);
    if (state !== 'open') this.#downAt ??= now;
    if (!before || past.stateOf(before) !== state) {
      const reason = seen.kind === 'answered' ? {} : { reason: seen.reason };
      log.info('node changed', { ...this.#label(), state, ...reason });
      if (state === 'open' && this.#downAt !== undefined && before) {
        ports.metrics.opened(plan.id, this.id, (now - this.#downAt) / 1000);
      }
    }
    if (state === 'open') this.#downAt = undefined;
    ports.metrics.seen(plan.id, this.id, state);
    const key = `sealed:${plan.id}/${this.id}`;
    if (state === 'open') ports.alerts.clear(key);
    else if (now - this.#downAt! >= plan.sealedTooLong) {
      ports.alerts.raise(key, {
        title: `${plan.id}/${this.id} is ${state}`,
        text: `${Math.round((now - this.#downAt!) / 1000)} s, ${this.status().text}`,
      });
    }
  }

  #tell(action: Action): void {
    const before = this.#action;
    this.#action = action;
    const why = (a: Action) => 'why' in a ? a.why : a.do;
    if (why(before) === why(action) || action.do === 'send') return;
    if (why(action) === 'open') {
      for (const what of ['refused', 'latched']) {
        this.#context.ports.alerts.clear(`${what}:${this.#context.plan.id}/${this.id}`);
      }
    }
    if (action.do === 'wait' && ['open', 'down', 'others', 'looking'].includes(action.why)) return;
    log.info('decided', { ...this.#label(), why: why(action), text: action.text });
  }

  /** Right before the bytes leave: the world may have changed since the decision. */
  #gate = (): void => {
    const hold = this.#context.ports.hold.current();
    if (hold.held) throw new Held('conflict', 'Cannot send share: on hold');
    if (this.#stopped) throw new Held('conflict', 'Cannot send share: stopping');
  };

  async #send(index: number): Promise<Sent | undefined> {
    const { ports, plan, clock } = this.#context;
    const share = plan.shares[index]!;
    const gate = () => {
      this.#gate();
      this.#history = past.beforeSend(this.#history, clock());
      this.#sent++;
      ports.metrics.sent(plan.id, this.id);
    };
    let answer: Sent;
    try {
      answer = await this.#bao.send(share, gate);
    } catch (error) {
      if (error instanceof Held) return undefined;
      throw error;
    }
    const now = clock();
    if (answer.kind === 'answered') {
      this.#history = past.afterSend(this.#history, index, answer.seal, now);
      const { sealed, progress, t } = answer.seal;
      log.info('share sent', {
        ...this.#label(),
        fingerprint: share.fingerprint,
        sealed,
        progress,
        t,
      });
      return answer;
    }
    this.#history = past.afterFailure(this.#history, now);
    ports.metrics.failed(plan.id, this.id);
    log.warn('share came to nothing', {
      ...this.#label(),
      fingerprint: share.fingerprint,
      reason: answer.reason,
    });
    if (answer.kind === 'refused') {
      ports.alerts.raise(`refused:${plan.id}/${this.id}`, {
        title: `${plan.id}/${this.id} refused a share`,
        text: `${answer.reason}: an old share, or someone else sends wrong ones`,
      });
    }
    return answer;
  }

  async #reset(): Promise<Sent | undefined> {
    const { ports, plan, clock } = this.#context;
    log.warn('clearing stale progress', { ...this.#label() });
    ports.metrics.reset(plan.id, this.id);
    const answer = await this.#bao.reset(this.#gate).catch((error) => {
      if (error instanceof Held) return undefined;
      throw error;
    });
    this.#history = past.afterReset(this.#history, clock());
    return answer;
  }

  async #latch(action: Extract<Action, { do: 'latch' }>): Promise<void> {
    const { ports, plan } = this.#context;
    const where = `${plan.id}/${this.id}`;
    const why = `${where}: ${action.text}`;
    const prints = plan.shares.map((share) => share.fingerprint).join(', ');
    const disclosed = action.disclosed ? `${why}; disclosed share(s) ${prints}` : undefined;
    const known = ports.hold.record();
    if (known && (!disclosed || known.disclosed.includes(disclosed))) return;
    log.error('hold latched', { ...this.#label(), text: action.text, disclosed: action.disclosed });
    if (disclosed) ports.metrics.disclosed(plan.id, this.id);
    const { durable } = await ports.hold.put('unsealer', why, disclosed);
    ports.alerts.raise(`latched:${where}`, {
      title: disclosed ? `A share was disclosed to ${where}` : `${where} is of another cluster`,
      text: `${why}. Nothing more is sent until the hold is lifted${
        durable ? '' : ' (not on disk)'
      }`,
    });
  }
}
