/** A frame that goes alone costs the broker and us as much as a reply does: what can wait for others waits so long. */
export const HOLD_MS = 20;
/** Of the messages that the broker hands over: with an eighth of them waiting for nothing but this, none of it starves. */
const HELD_SHARE = 1 / 8;

/** How many may wait, where the broker hands over `prefetch` messages before their acknowledgement. */
export const mostHeld = (prefetch: number): number => Math.floor(prefetch * HELD_SHARE);
