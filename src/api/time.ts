import { IsolambdaError } from '../errors/error.ts';

/** Epoch milliseconds as RFC 3339. */
export const timestamp = (epochMs: number): string => new Date(epochMs).toISOString();

const RFC_3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/i;

/** A time from a request, as epoch milliseconds. A time without a zone is refused: it would mean the host's. */
export function epochMs(text: string, where: string): number {
  const at = RFC_3339.test(text) ? Date.parse(text) : NaN;
  if (Number.isNaN(at))
    throw new IsolambdaError(
      'bad_request',
      `${where}: ${JSON.stringify(text)} is no RFC 3339 time with a zone, as 2026-10-26T12:00:00Z`,
    );
  return at;
}
