import type { MessagePropertyHeaders } from 'amqplib';
import type { FailureKind } from '../../protocol/outcome.ts';

export type KillVerdict =
  /** Run it once more, beside few others. */
  | 'retry'
  /** It died twice, but never alone: run it with no other suspect beside it, which settles the matter. */
  | 'retry_alone'
  /** It lost its isolate through others again and again: tell the caller. */
  | 'answer'
  /** It did it: tell the caller, and dead-letter it. */
  | 'bury';

/** The runner died, through this message or through one that ran beside it: such a message is worth a second try. */
export function isRunnerDeath(kind: FailureKind | 'reply'): boolean {
  return kind === 'runner_lost' || kind === 'isolate_lost';
}

/**
 * What becomes of a message whose runner died. `kills` counts this death; `alone`: no other suspect was in flight.
 * Twice is enough where it was alone the second time; a message that merely ran beside a culprit gets off.
 * An isolate is lost through a culprit that is known by name, so its neighbours are never buried.
 */
export function afterRunnerDeath(kind: FailureKind, kills: number, alone: boolean): KillVerdict {
  if (kills < 2) return 'retry';
  if (kind !== 'runner_lost') return 'answer';
  return alone ? 'bury' : 'retry_alone';
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
