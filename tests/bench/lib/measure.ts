/** One number, and where there is a peer, its number from the same run. */
export interface Measurement {
  bench: string;
  case: string;
  us: number;
  /** Null where there is nothing to compare with; then `them` and `ratio` are too. */
  peer: string | null;
  them: number | null;
  unit: string;
  /** Above 1: better than they. */
  ratio: number | null;
}

/**
 * What a file beside `run.ts` exports: measures, and reports each number once both sides are known to
 * have done the same work. `quick`: the figures are worth nothing, the bench itself is tried.
 */
export type Bench = (
  report: (row: Measurement) => void,
  note: (text: string) => void,
  quick: boolean,
) => Promise<void>;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * percent / 100) - 1)]!;
}

/** Three digits are more than any figure of a shared machine is worth. */
export function round(value: number): number {
  return value >= 100 ? Math.round(value) : Math.round(value * 100) / 100;
}
