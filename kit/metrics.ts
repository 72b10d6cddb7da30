import { setImmediate as nextTurn } from 'node:timers/promises';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

export interface Metrics {
  readonly registry: Registry;
  counter(name: string, help: string, labels?: string[]): Counter;
  gauge(name: string, help: string, labels?: string[]): Gauge;
  /** Buckets in the unit of the name, seconds by convention. */
  histogram(name: string, help: string, labels?: string[], buckets?: number[]): Histogram;
  /** Prometheus' text format, version 0.0.4. */
  text(): Promise<string>;
}

/** A registry of one process: names are prefixed by the service, `ics_proxy_…`. */
export function createMetrics(service: string): Metrics {
  const registry = new Registry();
  const prefix = service.replaceAll('-', '_') + '_';
  const registers = [registry];
  const process_ = new Gauge({
    name: `${prefix}process_resident_memory_bytes`,
    help: 'Resident memory of this process',
    registers,
    collect() {
      this.set(process.memoryUsage().rss);
    },
  });
  void process_;
  new Gauge({
    name: `${prefix}process_start_time_seconds`,
    help: 'When this process started, in seconds since 1970',
    registers,
  }).set(Math.round(Date.now() / 1000 - process.uptime()));
  return {
    registry,
    counter: (name, help, labelNames = []) =>
      new Counter({ name: prefix + name, help, labelNames, registers }),
    gauge: (name, help, labelNames = []) =>
      new Gauge({ name: prefix + name, help, labelNames, registers }),
    histogram: (name, help, labelNames = [], buckets) =>
      new Histogram({
        name: prefix + name,
        help,
        labelNames,
        registers,
        ...(buckets ? { buckets } : {}),
      }),
    async text() {
      // As `registry.metrics()`, but thousands of series do not hold up everything else.
      const parts: string[] = [];
      for (const { name } of registry.getMetricsAsArray()) {
        parts.push(await registry.getSingleMetricAsString(name));
        await nextTurn();
      }
      return `${parts.join('\n\n')}\n`;
    },
  };
}
