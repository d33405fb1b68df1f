import type { Outcome } from '../protocol/outcome.ts';
import {
  formatTraceparent,
  type Attributes,
  type Span,
  type TraceContext,
  type Tracer,
} from './trace-context.ts';

/** What the pool tells of an invocation that is traced. */
export interface InvocationTrace {
  /** What the isolate asks of the host goes below it. */
  readonly context: TraceContext;
  /** There is no isolate yet that could take it. */
  waitsForIsolate(): void;
  hasIsolate(): void;
}

/** The span `invoke`: from the pool's door to the outcome, with the wait for an isolate below it. */
export class RunTrace implements InvocationTrace {
  readonly #tracer: Tracer;
  readonly #span: Span;
  #coldStart: Span | undefined;

  constructor(tracer: Tracer, parent: TraceContext | undefined, attributes?: Attributes) {
    this.#tracer = tracer;
    this.#span = tracer.start('invoke', 'internal', parent, attributes);
  }

  get context(): TraceContext {
    return this.#span.context;
  }

  /** For the handler, which may go on below its own span. */
  get traceparent(): string {
    return formatTraceparent(this.#span.context);
  }

  waitsForIsolate(): void {
    this.#coldStart ??= this.#tracer.start('cold start', 'internal', this.#span.context);
  }

  hasIsolate(): void {
    this.#coldStart?.end();
    this.#coldStart = undefined;
  }

  end(outcome: Outcome): void {
    const failed = outcome.kind === 'reply' ? undefined : outcome.kind;
    this.#coldStart?.end(failed);
    this.#span.end(failed);
  }
}
