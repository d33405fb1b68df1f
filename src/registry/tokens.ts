import { hash, randomBytes, randomUUID } from 'node:crypto';
import type { TokenRecord } from '../store/tokens.ts';
import { SCOPES, type Scope } from '../store/types.ts';
import type { NewToken, Principal } from './types.ts';

/** Secret scanners know a token by its prefix. */
const PREFIX = 'isl_';
const SECRET_BYTES = 32;

/**
 * Tokens are 256 random bits, so a plain SHA-256 keeps them: there is nothing to guess, and a look-up takes about a
 * microsecond where scrypt would take tens of milliseconds of each request. The look-up compares hashes, whose
 * timing tells nothing about a token.
 */
const hashOf = (text: string): string => hash('sha256', text, 'base64url');

export function newToken(given: NewToken, now: number): { text: string; record: TokenRecord } {
  const text = PREFIX + randomBytes(SECRET_BYTES).toString('base64url');
  const scopes = SCOPES.filter((scope) => given.scopes.includes(scope));
  return {
    text,
    record: {
      id: randomUUID(),
      hash: hashOf(text),
      accountId: given.accountId,
      name: given.name ?? '',
      scopes,
      createdAt: now,
      expiresAt: given.expiresAt ?? null,
      revokedAt: null,
    },
  };
}

/** Texts of another length are no tokens: they need not be hashed. */
const TOKEN_LENGTH = PREFIX.length + Math.ceil((SECRET_BYTES * 4) / 3);

const MOST_RECENT = 1_000;

interface Held {
  readonly id: string;
  readonly principal: Principal;
  readonly expiresAt: number;
}

/** Valid tokens by hash. */
export class TokenBook {
  readonly #held = new Map<string, Held>();
  readonly #hashes = new Map<string, string>();
  /** Hashes of texts that came lately; the texts live in memory alone. */
  readonly #recent = new Map<string, string>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  add(token: TokenRecord): void {
    this.#held.set(token.hash, {
      id: token.id,
      principal: Object.freeze({
        accountId: token.accountId,
        operator: token.accountId === null,
        scopes: scopeSet(token.scopes),
      }),
      expiresAt: token.expiresAt ?? Infinity,
    });
    this.#hashes.set(token.id, token.hash);
  }

  /** Whether it was there. */
  remove(tokenId: string): boolean {
    const hash = this.#hashes.get(tokenId);
    if (hash === undefined) return false;
    this.#hashes.delete(tokenId);
    return this.#held.delete(hash);
  }

  ids(): Iterable<string> {
    return this.#hashes.keys();
  }

  removeAccount(accountId: string): void {
    for (const { id, principal } of this.#held.values())
      if (principal.accountId === accountId) this.remove(id);
  }

  /** Hashing takes longer than all else of a look-up: the texts that come again and again are hashed once. */
  #hashOf(text: string): string {
    const known = this.#recent.get(text);
    if (known !== undefined) return known;
    const hash = hashOf(text);
    // Only of tokens that exist: guesses must not push them out.
    if (this.#held.has(hash)) {
      if (this.#recent.size >= MOST_RECENT) this.#recent.clear();
      this.#recent.set(text, hash);
    }
    return hash;
  }

  /** Id and principal of a token that is valid now. */
  find(text: string): Held | undefined {
    if (text.length !== TOKEN_LENGTH) return undefined;
    const hash = this.#hashOf(text);
    const held = this.#held.get(hash);
    if (held === undefined) return undefined;
    if (held.expiresAt > this.#now()) return held;
    this.remove(held.id);
    return undefined;
  }
}

/** There are few combinations: each is one set. */
const scopeSets = new Map<string, ReadonlySet<Scope>>();
function scopeSet(scopes: readonly Scope[]): ReadonlySet<Scope> {
  const key = scopes.join();
  let set = scopeSets.get(key);
  if (set === undefined) {
    set = new Set(scopes);
    scopeSets.set(key, set);
  }
  return set;
}
