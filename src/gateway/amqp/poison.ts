import type { MessagePropertyHeaders } from 'amqplib';
import type { FailureKind } from '../../protocol/outcome.ts';

/** A message may take its runner down so often; then it is dead-lettered. */
const MAX_KILLS = 2;

export type KillVerdict =
  /** Run it once more, in the lane of suspects. */
  | 'retry'
  /** It was near too often, but never alone: tell the caller, and be done with it. */
  | 'answer'
  /** It did it: tell the caller, and dead-letter it. */
  | 'bury';

/** The runner died, through this message or through one that ran beside it: such a message is worth a second try. */
export function isRunnerDeath(kind: FailureKind | 'reply'): boolean {
  return kind === 'runner_lost' || kind === 'isolate_lost';
}

/**
 * What becomes of a message whose runner died. `kills` counts this death; `alone`: no other suspect was in flight.
 * A neighbour that merely shared an isolate with a culprit known by name is never buried.
 */
export function afterRunnerDeath(kind: FailureKind, kills: number, alone: boolean): KillVerdict {
  if (kills < MAX_KILLS) return 'retry';
  return alone && kind === 'runner_lost' ? 'bury' : 'answer';
}

/**
 * How often the broker has delivered the message before. Quorum queues count in `x-delivery-count`; a publisher may
 * forge that header on a classic queue, which harms nobody but its own message.
 */
export function deliveriesBefore(headers: MessagePropertyHeaders | undefined): number {
  if (headers === undefined || !Object.hasOwn(headers, 'x-delivery-count')) return 0;
  const count: unknown = headers['x-delivery-count'];
  return typeof count === 'number' && count > 0 ? count : 0;
}
