/**
 * A lambda's metrics as a page for Prometheus (text format 0.0.4). What the isolate says is a tenant's word: the page is
 * made here, of names that are checked, values that are numbers and texts that are escaped, so that nothing can break out
 * of its line.
 */
import { renderFailure } from '../errors/error.ts';
import { failure, type Outcome } from '../protocol/outcome.ts';
import type { LambdaEntry } from '../registry/types.ts';
import type { Invoke } from './types.ts';

/** Of the isolate's answer, which is parsed on the host's own thread. */
const MAX_BYTES = 2 * 1024 * 1024;
const MAX_SAMPLES = 12_000;
const MAX_LABELS = 17;
const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]{0,140}$/;
const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]{0,63}$/;
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: [''],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
};

export interface MetricsPage {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** Asks one isolate of the lambda. Never rejects: what fails has the status and body of its failure. */
export async function lambdaMetrics(
  invoke: Invoke,
  lambda: LambdaEntry,
  requestId: string,
): Promise<MetricsPage> {
  const head = {
    kind: 'metrics',
    requestId,
    accountId: lambda.accountId,
    deadlineMs: Date.now() + (lambda.active?.limits.timeout_ms ?? 0),
  } as const;
  const outcome = await invoke({ source: 'http', lambda, head, body: new Uint8Array(0) });
  const page = outcome.kind === 'reply' ? pageOf(outcome.body) : outcome;
  if (typeof page === 'string')
    return { status: 200, contentType: 'text/plain; version=0.0.4; charset=utf-8', body: page };
  const { status, body } = renderFailure(page);
  return { status, contentType: 'application/json; charset=utf-8', body: JSON.stringify(body) };
}

function pageOf(body: Uint8Array): string | Exclude<Outcome, { kind: 'reply' }> {
  if (body.length > MAX_BYTES)
    return failure('reply_too_large', `the metrics have ${body.length} bytes; allowed are ${MAX_BYTES}`);
  let said: unknown;
  try {
    said = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString());
  } catch {
    return failure('reply_invalid', 'the isolate answered no metrics');
  }
  return metricsText(said);
}

/** What an isolate said of its metrics, as text; whatever is malformed is left out and counted. */
export function metricsText(said: unknown): string {
  const { metrics, requests, dropped } = fieldsOf(said);
  const page = new Page();
  const counted = listOf(requests).flatMap((item) => {
    const [path, status, count] = listOf(item);
    const ok = Number.isInteger(status) && Number(status) >= 100 && Number(status) <= 599;
    return ok && typeof path === 'string'
      ? [{ labels: { path, status: String(status) }, value: count, status: Number(status) }]
      : [];
  });
  const failed = counted.filter(({ status }) => status >= 400);
  page.family('request_count_total', 'counter', 'Requests by path and status.', counted);
  page.family('errors_count_total', 'counter', 'Requests that failed, by path and status.', failed);
  for (const metric of listOf(metrics)) {
    const { name, type, help, samples } = fieldsOf(metric);
    if (typeof name === 'string' && typeof type === 'string')
      page.family(name, type, typeof help === 'string' ? help : '', listOf(samples));
    else page.dropped++;
  }
  const lost = typeof dropped === 'number' && dropped >= 0 ? dropped : 0;
  const all = [{ labels: {}, value: page.dropped + lost }];
  page.family('user_metrics_dropped_total', 'counter', 'Observations and series left out.', all);
  return page.text;
}

class Page {
  text = '';
  dropped = 0;
  #left = MAX_SAMPLES;
  readonly #names = new Set<string>();

  family(name: string, type: string, help: string, samples: readonly unknown[]): void {
    const suffixes = Object.hasOwn(SUFFIXES, type) ? SUFFIXES[type]! : [];
    const names = [name, ...suffixes.map((suffix) => `${name}${suffix}`)];
    if (!NAME.test(name) || suffixes.length === 0 || names.some((item) => this.#names.has(item))) {
      this.dropped += Math.max(1, samples.length);
      return;
    }
    for (const item of names) this.#names.add(item);
    const lines = new Map<string, string>();
    for (const sample of samples) {
      const line = this.#left > lines.size ? sampleOf(name, names.slice(1), sample) : undefined;
      // Two values of one series would make the whole page unreadable.
      if (line === undefined || lines.has(line.series)) this.dropped++;
      else lines.set(line.series, line.value);
    }
    this.#left -= lines.size;
    this.text += `# HELP ${name} ${escapeText(help).slice(0, 1_000)}\n# TYPE ${name} ${type}\n`;
    for (const [series, value] of lines) this.text += `${series} ${value}\n`;
  }
}

function sampleOf(
  family: string,
  names: readonly string[],
  sample: unknown,
): { series: string; value: string } | undefined {
  const { name = family, labels, value } = fieldsOf(sample);
  const pairs = Object.entries(fieldsOf(labels));
  const number = numberText(value);
  if (typeof name !== 'string' || !names.includes(name) || number === undefined) return undefined;
  if (pairs.length > MAX_LABELS) return undefined;
  const texts: string[] = [];
  for (const [label, text] of pairs.sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (!LABEL.test(label) || typeof text !== 'string') return undefined;
    texts.push(`${label}="${escapeText(text.slice(0, 128)).replaceAll('"', '\\"')}"`);
  }
  return { series: texts.length === 0 ? name : `${name}{${texts.join(',')}}`, value: number };
}

/** JSON has no infinities; a sum may have become one. */
function numberText(value: unknown): string | undefined {
  if (value === null) return 'NaN';
  return typeof value === 'number' ? String(value) : undefined;
}

/** Backslashes and line feeds as the format has them; other controls, which some readers take for line ends, not at all. */
const escapeText = (text: string): string =>
  text
    .replaceAll('\\', '\\\\')
    .replaceAll('\n', '\\n')
    .replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/gu, '\ufffd');

const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? { ...value } : {};
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
