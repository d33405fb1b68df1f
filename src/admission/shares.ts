import type { Demand, Gate } from './gate.ts';

/**
 * This host's part of limits that hold over several hosts. Each says several times a second what its callers ask for, and
 * takes its part by that: no request waits for another host. See docs/decisions/quotas-over-hosts.md.
 */
export interface Shares {
  /** What this host's callers ask for, of the accounts and lambdas near their limits: for the other hosts. */
  say(nowMs: number): string;
  /** What the other hosts said last; whoever is not among them has no part. */
  hear(said: readonly string[]): void;
  /** This host's part of an account or lambda that is new here, by what the others said. */
  begin(id: string, gate: Gate): void;
}

/** By id. */
type Demands = Map<string, Demand>;

/** Below this part of a limit, divided among the hosts, a demand is not worth saying. */
const SAID_FROM = 0.05;
/** A bound on what one host can write several times a second. */
const SAID_AT_MOST = 2_000;
/** Weight of the newest measurement: a demand that jumps is known to two thirds after half a second. */
const NEWEST = 0.4;
/** What is asked for varies around its mean: a host that asks for little keeps some room. */
const HEADROOM = 1.1;
/** Of a limit that others use up, divided among the hosts: a first call must be able to show that there is one. */
const FLOOR = 0.03;

export function createShares(gates: () => Iterable<readonly [string, Gate]>): Shares {
  let peers: Demands[] = [];
  let saidMs: number | undefined;
  /** What was said: the part is taken by what the others know, too. */
  let said: Demands = new Map();

  function part(id: string, gate: Gate): void {
    if (peers.length === 0) {
      gate.rateFraction = gate.placesFraction = 1;
      return;
    }
    const mine = said.get(id) ?? NOTHING;
    const others = peers.map((peer) => peer.get(id) ?? NOTHING);
    const rate = shareOf(
      gate.rateLimit,
      mine.rate,
      others.map((each) => each.rate),
    );
    const places = shareOf(
      gate.placesLimit,
      mine.places,
      others.map((each) => each.places),
    );
    // A place is free once the call in it has ended, wherever that runs.
    const free = gate.placesLimit - others.reduce((sum, { taken }) => sum + taken, 0);
    gate.rateFraction = rate / gate.rateLimit;
    gate.placesFraction = Math.max(0, Math.min(places, free)) / gate.placesLimit;
  }

  return {
    say(nowMs) {
      const seconds = saidMs === undefined ? 0 : (nowMs - saidMs) / 1_000;
      saidMs = nowMs;
      const worth: { id: string; demand: Demand; part: number }[] = [];
      for (const [id, gate] of gates()) {
        const { rate, places, taken } = gate.measure(seconds, NEWEST);
        const part = Math.max(rate / gate.rateLimit, places / gate.placesLimit);
        if (part > SAID_FROM / (peers.length + 1))
          worth.push({ id, demand: { rate: round(rate * HEADROOM), places, taken }, part });
      }
      if (worth.length > SAID_AT_MOST) {
        worth.sort((one, other) => other.part - one.part);
        worth.length = SAID_AT_MOST;
      }
      said = new Map(worth.map(({ id, demand }) => [id, demand]));
      return JSON.stringify(
        Object.fromEntries(
          worth.map(({ id, demand: { rate, places, taken } }) => [id, [rate, places, taken]]),
        ),
      );
    },
    hear(texts) {
      peers = texts.map(parse);
      for (const [id, gate] of gates()) part(id, gate);
    },
    begin: part,
  };
}

const NOTHING: Demand = { rate: 0, places: 0, taken: 0 };
const round = (rate: number): number => Math.round(rate * 100) / 100;

/**
 * What a host has of a limit. Where there is enough, what it asks for and an equal part of the rest; where there is not, what
 * it asks for up to a level that is the same for all (max-min fairness): who asks for little gets it.
 */
export function shareOf(limit: number, mine: number, others: readonly number[]): number {
  const hosts = others.length + 1;
  const all = [mine, ...others].sort((one, other) => one - other);
  const total = all.reduce((sum, each) => sum + each, 0);
  if (total <= limit) return mine + (limit - total) / hosts;
  let left = limit;
  let level = 0;
  for (const [index, each] of all.entries()) {
    level = left / (hosts - index);
    if (each > level) break;
    left -= each;
  }
  return Math.max(Math.min(mine, level), (FLOOR * limit) / hosts);
}

/** A text of another release may be anything: what is not understood asks for nothing. */
function parse(text: string): Demands {
  const demands: Demands = new Map();
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    return demands;
  }
  if (typeof given !== 'object' || given === null) return demands;
  for (const [id, value] of Object.entries(given)) {
    if (!Array.isArray(value)) continue;
    const [rate, places, taken] = value as unknown[];
    if (isDemand(rate) && isDemand(places) && isDemand(taken)) demands.set(id, { rate, places, taken });
  }
  return demands;
}

const isDemand = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0;
