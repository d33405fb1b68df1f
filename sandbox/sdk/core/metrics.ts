/**
 * The lambda's own metrics: `export const USER_METRICS = [new Counter(...), ...]`. Plain collectors in the names of the
 * Prometheus clients. The host reads them through `collect()`, and checks and renders what it gets: nothing here guards
 * the page. Names, labels and series are bounded, so that a lambda's page stays small.
 */
const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]{0,127}$/;
const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]{0,63}$/;
const MAX_SERIES = 1_000;
const MAX_LABELS = 16;
const MAX_LABEL_CHARS = 128;
const MAX_HELP_CHARS = 500;
const MAX_BUCKETS = 100;
const DEFAULT_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const DEFAULT_QUANTILES = [0.5, 0.9, 0.99];
/** A summary's quantiles are of the newest observations. */
const WINDOW = 500;

export type Labels = Readonly<Record<string, string | number>>;
export interface MetricOptions {
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly string[];
}
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}
export interface Collected {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary';
  readonly samples: readonly Sample[];
}

interface Series<T> {
  readonly labels: Readonly<Record<string, string>>;
  value: T;
}

export abstract class Metric<T = unknown> {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  abstract readonly type: Collected['type'];
  readonly #series = new Map<string, Series<T>>();
  /** Observations refused because there were too many series. */
  dropped = 0;

  constructor(options: MetricOptions) {
    if (!NAME.test(options.name)) throw new TypeError(`"${options.name}" is no name of a metric`);
    this.name = options.name;
    this.help = String(options.help ?? '').slice(0, MAX_HELP_CHARS);
    this.labelNames = [...(options.labelNames ?? [])];
    if (this.labelNames.length > MAX_LABELS || new Set(this.labelNames).size < this.labelNames.length)
      throw new TypeError(`metric ${this.name}: labels are ${MAX_LABELS} at most, each once`);
    for (const label of this.labelNames) {
      if (!LABEL.test(label) || label.startsWith('__'))
        throw new TypeError(`metric ${this.name}: "${label}" is no name of a label`);
    }
  }

  collect(): Collected {
    const { name, help, type } = this;
    return {
      name,
      help,
      type,
      samples: [...this.#series.values()].flatMap((series) => this.samples(series)),
    };
  }

  protected abstract empty(): T;
  protected abstract samples(series: Series<T>): Sample[];

  protected of(given: Labels): Series<T> | undefined {
    const labels: Record<string, string> = {};
    for (const key of Object.keys(given)) {
      if (!this.labelNames.includes(key)) throw new TypeError(`metric ${this.name} has no label "${key}"`);
    }
    for (const label of this.labelNames) labels[label] = String(given[label] ?? '').slice(0, MAX_LABEL_CHARS);
    const key = JSON.stringify(labels);
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    if (this.#series.size >= MAX_SERIES) {
      this.dropped++;
      return undefined;
    }
    const series = { labels, value: this.empty() };
    this.#series.set(key, series);
    return series;
  }
}

const finite = (name: string, value: number): number => {
  if (typeof value !== 'number' || !Number.isFinite(value))
    throw new TypeError(`metric ${name}: ${value} is no number`);
  return value;
};

/** Prometheus itself gives this label a meaning in metrics of this type. */
function refuseLabel(metric: Metric, label: string): void {
  if (metric.labelNames.includes(label))
    throw new TypeError(`metric ${metric.name}: the label "${label}" is its type's own`);
}

/** Only ever grows. */
export class Counter extends Metric<number> {
  readonly type = 'counter';

  /** `inc()`, `inc(2)`, `inc({ status: 200 })`, `inc({ status: 200 }, 2)`. */
  inc(labelsOrBy: Labels | number = 1, by = 1): void {
    const [labels, step] = typeof labelsOrBy === 'number' ? [{}, labelsOrBy] : [labelsOrBy, by];
    if (finite(this.name, step) < 0) throw new TypeError(`counter ${this.name} can't go down`);
    const series = this.of(labels);
    if (series !== undefined) series.value += step;
  }

  protected empty(): number {
    return 0;
  }
  protected samples({ labels, value }: Series<number>): Sample[] {
    return [{ name: this.name, labels, value }];
  }
}

/** Goes up and down. */
export class Gauge extends Metric<number> {
  readonly type = 'gauge';

  /** `set(5)`, `set({ queue: "a" }, 5)`. */
  set(labelsOrValue: Labels | number, value = 0): void {
    const [labels, next] = typeof labelsOrValue === 'number' ? [{}, labelsOrValue] : [labelsOrValue, value];
    const series = this.of(labels);
    if (series !== undefined) series.value = finite(this.name, next);
  }
  inc(labelsOrBy: Labels | number = 1, by = 1): void {
    const [labels, step] = typeof labelsOrBy === 'number' ? [{}, labelsOrBy] : [labelsOrBy, by];
    const series = this.of(labels);
    if (series !== undefined) series.value += finite(this.name, step);
  }
  dec(labelsOrBy: Labels | number = 1, by = 1): void {
    if (typeof labelsOrBy === 'number') this.inc(-labelsOrBy);
    else this.inc(labelsOrBy, -by);
  }

  protected empty(): number {
    return 0;
  }
  protected samples({ labels, value }: Series<number>): Sample[] {
    return [{ name: this.name, labels, value }];
  }
}

interface Observed {
  count: number;
  sum: number;
  readonly buckets: number[];
}

/** Counts observations by size. */
export class Histogram extends Metric<Observed> {
  readonly type = 'histogram';
  readonly buckets: readonly number[];

  constructor(options: MetricOptions & { readonly buckets?: readonly number[] }) {
    super(options);
    this.buckets = [...(options.buckets ?? DEFAULT_BUCKETS)].sort((a, b) => a - b).slice(0, MAX_BUCKETS);
    for (const bound of this.buckets) finite(this.name, bound);
    refuseLabel(this, 'le');
  }

  /** `observe(0.3)`, `observe({ route: "/a" }, 0.3)`. */
  observe(labelsOrValue: Labels | number, value = 0): void {
    const [labels, seen] = typeof labelsOrValue === 'number' ? [{}, labelsOrValue] : [labelsOrValue, value];
    finite(this.name, seen);
    const series = this.of(labels);
    if (series === undefined) return;
    series.value.count++;
    series.value.sum += seen;
    this.buckets.forEach((bound, i) => {
      if (seen <= bound) series.value.buckets[i]!++;
    });
  }

  protected empty(): Observed {
    return { count: 0, sum: 0, buckets: this.buckets.map(() => 0) };
  }
  protected samples({ labels, value }: Series<Observed>): Sample[] {
    return [
      ...this.buckets.map((bound, i) => ({
        name: `${this.name}_bucket`,
        labels: { ...labels, le: String(bound) },
        value: value.buckets[i]!,
      })),
      { name: `${this.name}_bucket`, labels: { ...labels, le: '+Inf' }, value: value.count },
      { name: `${this.name}_sum`, labels, value: value.sum },
      { name: `${this.name}_count`, labels, value: value.count },
    ];
  }
}

interface Window {
  count: number;
  sum: number;
  readonly newest: number[];
}

/** Quantiles of the newest observations. */
export class Summary extends Metric<Window> {
  readonly type = 'summary';
  readonly quantiles: readonly number[];

  constructor(options: MetricOptions & { readonly percentiles?: readonly number[] }) {
    super(options);
    this.quantiles = (options.percentiles ?? DEFAULT_QUANTILES).slice(0, 16);
    for (const quantile of this.quantiles) finite(this.name, quantile);
    refuseLabel(this, 'quantile');
  }

  observe(labelsOrValue: Labels | number, value = 0): void {
    const [labels, seen] = typeof labelsOrValue === 'number' ? [{}, labelsOrValue] : [labelsOrValue, value];
    finite(this.name, seen);
    const series = this.of(labels);
    if (series === undefined) return;
    series.value.newest[series.value.count % WINDOW] = seen;
    series.value.count++;
    series.value.sum += seen;
  }

  protected empty(): Window {
    return { count: 0, sum: 0, newest: [] };
  }
  protected samples({ labels, value }: Series<Window>): Sample[] {
    const sorted = [...value.newest].sort((a, b) => a - b);
    return [
      ...this.quantiles.map((quantile) => ({
        name: this.name,
        labels: { ...labels, quantile: String(quantile) },
        value: sorted[Math.min(sorted.length - 1, Math.ceil(quantile * sorted.length) - 1)] ?? 0,
      })),
      { name: `${this.name}_sum`, labels, value: value.sum },
      { name: `${this.name}_count`, labels, value: value.count },
    ];
  }
}
