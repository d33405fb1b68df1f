import { failure, type Outcome } from '../../protocol/outcome.ts';
import type { Logger } from '../../telemetry/log.ts';
import type { Verdict } from './acks.ts';
import type { Counts } from './counts.ts';
import type { Job } from './job.ts';
import type { Publisher } from './publisher.ts';
import { renderFailure, renderReply, type ReplyMessage } from './reply.ts';
import { traceHeaders, type Tracer } from '../../telemetry/trace-context.ts';

export interface ResponderOptions {
  readonly publisher: Publisher;
  readonly counts: Counts;
  readonly replyBytes: number;
  readonly tracer: Tracer | undefined;
  readonly log: Pick<Logger, 'warn'> | undefined;
  readonly now: () => number;
}

/** Turns outcomes into replies, and settles each message after the broker has its reply. */
export class Responder {
  readonly #options: ResponderOptions;

  constructor(options: ResponderOptions) {
    this.#options = options;
  }

  /** `verdict`: what the broker hears of the message once its caller has the reply. */
  answer(job: Job, outcome: Outcome, verdict: Verdict): void {
    const { counts, replyBytes } = this.#options;
    job.answered = true;
    if (outcome.kind !== 'reply') counts.failed++;
    if (job.replyTo === undefined) {
      counts.unanswered++;
      job.span?.end(outcome.kind === 'reply' ? undefined : outcome.kind);
      this.#settle(job, verdict);
      return;
    }
    const reply = renderReply(outcome, job.requestId, replyBytes);
    this.#send(job, job.replyTo, reply, verdict, (refused) => {
      // The broker will not have this reply, but may have a short one that says so.
      const kind = /\b(size|larger|too large)\b/i.test(refused) ? 'reply_too_large' : 'internal';
      const instead = renderFailure(failure(kind, `the broker refused the reply: ${refused}`), job.requestId);
      this.#send(job, job.replyTo ?? '', instead, verdict, (again) => {
        counts.undeliverable++;
        this.#options.log?.warn({ requestId: job.requestId, refused: again }, 'reply cannot be delivered');
        this.#settle(job, verdict);
      });
    });
  }

  #send(
    job: Job,
    replyTo: string,
    reply: ReplyMessage,
    verdict: Verdict,
    onRefused: (why: string) => void,
  ): void {
    const { publisher, counts, tracer, now } = this.#options;
    const span = tracer?.start('reply', 'producer', job.trace);
    const trace = span?.context ?? job.trace;
    const headers: Record<string, string> | undefined = trace
      ? traceHeaders(trace)
      : reply.error === undefined
        ? undefined
        : {};
    if (headers && reply.error !== undefined) headers['x-lambda-error'] = reply.error;
    publisher.send({
      replyTo,
      body: reply.body,
      options: {
        contentType: reply.contentType,
        timestamp: Math.floor(now() / 1_000),
        // exactOptionalPropertyTypes: absent, not undefined.
        ...(job.correlationId === undefined ? {} : { correlationId: job.correlationId }),
        ...(headers === undefined ? {} : { headers }),
      },
      done: (refused) => {
        span?.end(refused);
        if (refused !== undefined) {
          onRefused(refused);
          return;
        }
        counts.replied++;
        job.span?.end(reply.error);
        this.#settle(job, verdict);
      },
    });
  }

  #settle(job: Job, verdict: Verdict): void {
    const { counts } = this.#options;
    if (verdict === 'reject') counts.deadLettered++;
    if (verdict === 'requeue') counts.requeued++;
    job.settle(verdict);
  }
}
