import { Marker, TOUCHED_MAX } from '../bridge/wire.ts';

/** The one invocation that can have been running, by what the guest marked last; 0 where that is not certain. */
export function runningNow(
  marker: Int32Array,
  flights: Iterable<{ readonly id: number; readonly entered: boolean }>,
): number {
  const running = marker[Marker.running]! >>> 0;
  if (running !== 0) return running;
  const entered = [...flights].filter((flight) => flight.entered);
  if (entered.length === 1) return entered[0]!.id;
  const touched = marker[Marker.touched]!;
  if (touched <= 0 || touched > TOUCHED_MAX) return 0;
  const ids = new Set<number>();
  for (let i = 0; i < touched; i++) ids.add(marker[Marker.firstTouched + i]! >>> 0);
  const open = entered.filter((flight) => ids.has(flight.id));
  return open.length === 1 ? open[0]!.id : 0;
}
