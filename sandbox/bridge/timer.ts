/** Node fires a timeout above this at once. */
const MAX_DELAY_MS = 0x7fff_ffff;

/** Milliseconds until the guest is woken; at least one, so that a timer loop can't keep the runner's own loop busy. */
export function acceptWakeDelay(delayMs: number): number {
  return Number.isFinite(delayMs) ? Math.min(MAX_DELAY_MS, Math.max(1, Math.ceil(delayMs))) : MAX_DELAY_MS;
}
