/**
 * How many cases the properties of an area get: few in `npm test`; `npm run test:property:long` gives each area a million. The
 * process as a whole must stay within a bound on its memory, whose high-water mark the kernel keeps: no case escapes it.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';

/** ISOLAMBDA_PROPERTY_CASES=n: cases of each area, a file here. */
const CASES = Number(process.env.ISOLAMBDA_PROPERTY_CASES ?? 1_500);
/** Node with this project's parsers takes some 150 MB, and garbage up to the bound that the long run sets on the heap, 256 MB. */
const MAX_RESIDENT_MB = 512;

interface Area {
  /** Fails with the smallest case that breaks it, and the seed that finds that again. */
  readonly holds: <T>(property: fc.IProperty<T>) => void;
  readonly holdsAsync: <T>(property: fc.IAsyncProperty<T>) => Promise<void>;
}

/** One file's share of cases, divided among its properties. */
export function area(properties: number): Area {
  const parameters = { numRuns: Math.ceil(CASES / properties), seed: seedOf() };
  return {
    holds(property) {
      fc.assert(property, parameters);
      mustBeWithinMemory();
    },
    async holdsAsync(property) {
      await fc.assert(property, parameters);
      mustBeWithinMemory();
    },
  };
}

function mustBeWithinMemory(): void {
  const peakMb = process.resourceUsage().maxRSS / 1_024;
  assert.ok(
    peakMb <= MAX_RESIDENT_MB,
    `${peakMb.toFixed(0)} MB were resident; ${MAX_RESIDENT_MB} are allowed`,
  );
}

/** ISOLAMBDA_PROPERTY_SEED=n: the same cases again. */
function seedOf(): number {
  const given = process.env.ISOLAMBDA_PROPERTY_SEED;
  return given === undefined ? Date.now() % 0x7fffffff : Number(given);
}
