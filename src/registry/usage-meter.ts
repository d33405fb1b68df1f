import { HOUR_MS, MINUTE_MS, type UsageCount, type UsageRepository } from '../store/usage.ts';
import type { UsagePoint, UsageReport, UsageTotals } from '../store/types.ts';
import type { EgressRecord, InvocationRecord, UsageMeter } from './types.ts';

export interface UsageMeterOptions {
  readonly usage: UsageRepository;
  readonly now: () => number;
  readonly flushMs: number;
  /** Usage of an account that is gone is not written: it would outlive the account. */
  readonly exists: (accountId: string) => boolean;
  readonly onError: (error: unknown, what: string) => void;
}

export interface OwnUsageMeter extends UsageMeter {
  close(): Promise<void>;
}

/** Counters of the minute that runs, by lambda and outcome. */
type Minute = Map<string, Map<string, UsageCount>>;

export function createUsageMeter({ usage, now, flushMs, exists, onError }: UsageMeterOptions): OwnUsageMeter {
  let counts: Minute = new Map();
  let countsTime = startOf(now());
  /** Minutes that ended, or that could not be written yet. */
  let ended: UsageCount[] = [];
  let flushing: Promise<void> | undefined;
  let agedAt = 0;
  const timer = setInterval(
    () => void flush().catch((error: unknown) => onError(error, 'writing usage')),
    flushMs,
  );
  timer.unref();

  function counter(accountId: string, lambdaId: string, outcome: string): UsageCount {
    const time = startOf(now());
    if (time !== countsTime) {
      turn();
      countsTime = time;
    }
    let ofLambda = counts.get(lambdaId);
    if (ofLambda === undefined) counts.set(lambdaId, (ofLambda = new Map<string, UsageCount>()));
    let count = ofLambda.get(outcome);
    if (count === undefined) {
      count = { accountId, lambdaId, time, outcome, count: 0, cpuUs: 0, mbMs: 0, bytesIn: 0, bytesOut: 0 };
      ofLambda.set(outcome, count);
    }
    return count;
  }

  function turn(): void {
    for (const ofLambda of counts.values()) ended.push(...ofLambda.values());
    counts = new Map();
  }

  async function write(): Promise<void> {
    turn();
    const taken = ended.filter(({ accountId }) => exists(accountId));
    ended = [];
    try {
      await usage.add(taken.map(whole));
      if (now() - agedAt >= HOUR_MS) {
        agedAt = now();
        await usage.age(agedAt);
      }
    } catch (error) {
      // Nothing of it was written: `add` is one transaction. The next flush has it again.
      ended.push(...taken);
      throw error;
    }
  }

  async function flush(): Promise<void> {
    // One at a time; who asks while one runs needs the next, which holds what was counted since.
    while (flushing !== undefined) await flushing.catch(() => undefined);
    if (counts.size === 0 && ended.length === 0) return;
    flushing = write().finally(() => (flushing = undefined));
    await flushing;
  }

  return {
    invocation(record: InvocationRecord) {
      const count = counter(record.accountId, record.lambdaId, record.outcome);
      count.count += 1;
      count.cpuUs += record.cpuUs;
      count.mbMs += (record.memoryMb * record.wallUs) / 1_000;
      count.bytesIn += record.bytesIn;
      count.bytesOut += record.bytesOut;
    },
    egress(record: EgressRecord) {
      const count = counter(record.accountId, record.lambdaId, EGRESS);
      count.count += 1;
      count.bytesOut += record.bytes;
    },
    flush,
    async report(query) {
      await flush();
      return reportOf(await usage.sums(query));
    },
    async close() {
      clearInterval(timer);
      await flush();
    },
  };
}

const EGRESS = 'egress';
const startOf = (time: number): number => time - (time % MINUTE_MS);
/** Columns hold whole numbers: less than a microsecond or a megabyte-millisecond a flush is lost. */
const whole = (count: UsageCount): UsageCount => ({
  ...count,
  cpuUs: Math.round(count.cpuUs),
  mbMs: Math.round(count.mbMs),
});

type Sum = Awaited<ReturnType<UsageRepository['sums']>>[number];

function reportOf(sums: readonly Sum[]): UsageReport {
  const points: UsagePoint[] = [];
  for (let at = 0; at < sums.length;) {
    const { time } = sums[at]!;
    const from = at;
    while (at < sums.length && sums[at]!.time === time) at += 1;
    points.push({ time, ...totals(sums.slice(from, at)) });
  }
  return { points, total: totals(sums) };
}

function totals(sums: readonly Sum[]): UsageTotals {
  const outcomes: Record<string, number> = {};
  const total = {
    invocations: 0,
    cpuUs: 0,
    mbMs: 0,
    bytesIn: 0,
    bytesOut: 0,
    egressRequests: 0,
    egressBytes: 0,
  };
  for (const sum of sums) {
    if (sum.outcome === EGRESS) {
      total.egressRequests += sum.count;
      total.egressBytes += sum.bytesOut;
      continue;
    }
    outcomes[sum.outcome] = (outcomes[sum.outcome] ?? 0) + sum.count;
    total.invocations += sum.count;
    total.cpuUs += sum.cpuUs;
    total.mbMs += sum.mbMs;
    total.bytesIn += sum.bytesIn;
    total.bytesOut += sum.bytesOut;
  }
  const { cpuUs, mbMs, ...rest } = total;
  // A GB-second is 1024 MiB for a second, as clouds bill it.
  return { ...rest, outcomes, cpuSeconds: cpuUs / 1e6, gbSeconds: mbMs / 1_024 / 1_000 };
}
