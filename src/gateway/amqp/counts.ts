/** What a queue service has done since it started. */
export interface Counts {
  received: number;
  redelivered: number;
  replied: number;
  unanswered: number;
  failed: number;
  deadLettered: number;
  requeued: number;
  undeliverable: number;
  undecodable: number;
}

export const newCounts = (): Counts => ({
  received: 0,
  redelivered: 0,
  replied: 0,
  unanswered: 0,
  failed: 0,
  deadLettered: 0,
  requeued: 0,
  undeliverable: 0,
  undecodable: 0,
});
