import { failure, isFailureKind, type Failure } from '../../src/protocol/outcome.ts';
import type { GuestFailure } from './wire.ts';

const MAX_DETAIL_CHARS = 8 * 1024;
/** As the protocol has it for log lines. */
const MAX_REQUEST_ID_CHARS = 128;

export interface AcceptedFailure {
  /** As the host gets it, without the stack: that is shown only where the lambda asks for it. */
  readonly failure: Failure;
  /** With the tenant's own positions. */
  readonly stack: string | undefined;
  readonly requestId: string | undefined;
}

/** Reads a failure that the guest told, and maps its stack. What makes no sense becomes `internal`. */
export function acceptFailure(head: string, stacks: { map(stack: string): string }): AcceptedFailure {
  let told: Partial<Record<keyof GuestFailure, unknown>>;
  try {
    told = JSON.parse(head) as typeof told;
  } catch {
    told = {};
  }
  const { kind, detail, status, type, allow, stack, requestId } = told;
  return {
    failure: isFailureKind(kind)
      ? failure(kind, text(detail) ?? '', {
          ...(Number.isInteger(status) ? { status: Number(status) } : {}),
          ...optional('type', text(type)),
          ...optional('allow', text(allow)),
        })
      : failure('internal', 'the guest told a failure of no known kind'),
    stack: typeof stack === 'string' ? stacks.map(stack) : undefined,
    requestId: text(requestId)?.slice(0, MAX_REQUEST_ID_CHARS),
  };
}

const text = (value: unknown): string | undefined =>
  typeof value === 'string' ? value.slice(0, MAX_DETAIL_CHARS) : undefined;
const optional = <K extends string>(key: K, value: string | undefined): { [P in K]?: string } =>
  value === undefined ? {} : ({ [key]: value } as { [P in K]?: string });
