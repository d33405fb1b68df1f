/**
 * crypto: getRandomValues and randomUUID from the host's random bytes; subtle's digests and HMAC from
 * @noble/hashes. After https://w3c.github.io/webcrypto/, for SHA-1, SHA-256, SHA-384, SHA-512 and HMAC only.
 */
import { registerCloneable } from './cloneable.ts';
import { decodeJsonKey, encodeJsonKey } from './crypto-jwk.ts';
import { DOMException } from './dom-exception.ts';
import { digestOf, hashBlockBytes, hmacOf, normalizeHash } from './crypto-hash.ts';
import type { HashName } from './crypto-hash.ts';
import { hostOf } from './runtime.ts';
import {
  bytesOf,
  copyBytes,
  exposeInterface,
  getterOf,
  isBufferSource,
  requireArguments,
  toDomString,
} from './webidl.ts';

/** The most that one getRandomValues call may ask for: https://w3c.github.io/webcrypto/#Crypto-method-getRandomValues */
const QUOTA_BYTES = 65_536;
const INTEGER_VIEWS = new Set([
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'BigInt64Array',
  'BigUint64Array',
]);
const viewName = getterOf(Object.getPrototypeOf(Uint8Array.prototype) as object, Symbol.toStringTag);
const making = Symbol('Crypto');

type Usage = 'sign' | 'verify';
interface KeyState {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly hash: HashName;
  readonly extractable: boolean;
  readonly usages: readonly Usage[];
  readonly algorithm: object;
}

let keyState: (key: CryptoKey) => KeyState;
let isKey: (value: unknown) => value is CryptoKey;

export class CryptoKey {
  #state: KeyState;

  constructor(token?: unknown, state?: KeyState) {
    if (token !== making || state === undefined) throw new TypeError('Illegal constructor');
    this.#state = state;
  }

  static {
    keyState = (key) => key.#state;
    isKey = (value): value is CryptoKey => typeof value === 'object' && value !== null && #state in value;
  }

  get type(): string {
    void this.#state;
    return 'secret';
  }
  get extractable(): boolean {
    return this.#state.extractable;
  }
  get algorithm(): object {
    return this.#state.algorithm;
  }
  get usages(): Usage[] {
    return [...this.#state.usages];
  }
}
exposeInterface(CryptoKey, 'CryptoKey');
registerCloneable({ is: isKey, clone: (key) => new CryptoKey(making, keyState(key as CryptoKey)) });

export class SubtleCrypto {
  #made: true;

  constructor(token?: unknown) {
    if (token !== making) throw new TypeError('Illegal constructor');
    this.#made = true;
  }

  async digest(algorithm: unknown, data: unknown): Promise<ArrayBuffer> {
    requireArguments(arguments.length, 2, 'SubtleCrypto.digest');
    void this.#made;
    const hash = normalizeHash(algorithm);
    return digestOf(hash, source(data, 'SubtleCrypto.digest')).buffer;
  }

  async importKey(
    format: unknown,
    keyData: unknown,
    algorithm: unknown,
    extractable: unknown,
    usages: unknown,
  ): Promise<CryptoKey> {
    requireArguments(arguments.length, 5, 'SubtleCrypto.importKey');
    void this.#made;
    const hash = hmacHash(algorithm);
    const wanted = usagesOf(usages);
    const kind = toDomString(format);
    let bytes: Uint8Array<ArrayBuffer>;
    if (kind === 'raw') bytes = source(keyData, 'SubtleCrypto.importKey');
    else if (kind === 'jwk') bytes = decodeJsonKey(keyData, hash, wanted, Boolean(extractable));
    else throw new DOMException(`Unable to import HMAC key with format ${kind}`, 'NotSupportedError');
    return makeKey(withLength(bytes, algorithm), hash, Boolean(extractable), wanted);
  }

  async generateKey(algorithm: unknown, extractable: unknown, usages: unknown): Promise<CryptoKey> {
    requireArguments(arguments.length, 3, 'SubtleCrypto.generateKey');
    void this.#made;
    const hash = hmacHash(algorithm);
    const wanted = usagesOf(usages);
    const bits: unknown = (algorithm as { length?: unknown }).length;
    const length = bits === undefined ? hashBlockBytes(hash) * 8 : Number(bits);
    if (!Number.isInteger(length) || length <= 0 || length % 8 !== 0 || length > QUOTA_BYTES * 8) {
      throw new DOMException(
        `An HMAC key of ${String(bits)} bits cannot be made here: use whole bytes.`,
        'OperationError',
      );
    }
    return makeKey(randomBytes(length / 8), hash, Boolean(extractable), wanted);
  }

  async exportKey(format: unknown, key: unknown): Promise<ArrayBuffer | object> {
    requireArguments(arguments.length, 2, 'SubtleCrypto.exportKey');
    void this.#made;
    const kind = toDomString(format);
    const state = stateOf(key);
    if (!state.extractable) throw new DOMException('key is not extractable', 'InvalidAccessError');
    if (kind === 'raw') return state.bytes.slice().buffer;
    if (kind === 'jwk') return encodeJsonKey(state.bytes, state.hash, state.usages);
    throw new DOMException(`Unable to export HMAC key with format ${kind}`, 'NotSupportedError');
  }

  async sign(algorithm: unknown, key: unknown, data: unknown): Promise<ArrayBuffer> {
    requireArguments(arguments.length, 3, 'SubtleCrypto.sign');
    void this.#made;
    const state = usable(algorithm, key, 'sign');
    return hmacOf(state.hash, state.bytes, source(data, 'SubtleCrypto.sign')).buffer;
  }

  async verify(algorithm: unknown, key: unknown, signature: unknown, data: unknown): Promise<boolean> {
    requireArguments(arguments.length, 4, 'SubtleCrypto.verify');
    void this.#made;
    const given = source(signature, 'SubtleCrypto.verify');
    const message = source(data, 'SubtleCrypto.verify');
    const state = usable(algorithm, key, 'verify');
    const expected = hmacOf(state.hash, state.bytes, message);
    // All bytes are compared, so that the time says nothing about where they differ.
    let difference = given.length ^ expected.length;
    for (let i = 0; i < expected.length; i++) difference |= (expected[i] ?? 0) ^ (given[i] ?? 0);
    return difference === 0;
  }
}
exposeInterface(SubtleCrypto, 'SubtleCrypto');

export class Crypto {
  #subtle: SubtleCrypto;

  constructor(token?: unknown) {
    if (token !== making) throw new TypeError('Illegal constructor');
    this.#subtle = new SubtleCrypto(making);
  }

  get subtle(): SubtleCrypto {
    return this.#subtle;
  }

  getRandomValues(array: unknown): unknown {
    requireArguments(arguments.length, 1, 'Crypto.getRandomValues');
    void this.#subtle;
    const name: unknown = ArrayBuffer.isView(array) ? Reflect.apply(viewName, array, []) : undefined;
    if (!ArrayBuffer.isView(array) || typeof name !== 'string' || !INTEGER_VIEWS.has(name)) {
      throw new DOMException('The data argument must be an integer-type TypedArray', 'TypeMismatchError');
    }
    if (array.byteLength > QUOTA_BYTES) {
      throw new DOMException(
        `The requested length exceeds ${QUOTA_BYTES} bytes: ask in several calls.`,
        'QuotaExceededError',
      );
    }
    if (array.byteLength > 0) bytesOf(array).set(randomBytes(array.byteLength));
    return array;
  }

  randomUUID(): string {
    void this.#subtle;
    const bytes = randomBytes(16);
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
    let hex = '';
    for (const byte of bytes) hex += (byte + 256).toString(16).slice(1);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }
}
exposeInterface(Crypto, 'Crypto');

export const crypto = new Crypto(making);

/** A copy, so that the array that the host made is not the one that the tenant holds. */
function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(hostOf().randomBytes(length));
  if (bytes.length !== length)
    throw new Error(`the host gave ${bytes.length} random bytes instead of ${length}`);
  return bytes;
}

function source(value: unknown, what: string): Uint8Array<ArrayBuffer> {
  if (!isBufferSource(value))
    throw new TypeError(`${what}: the data must be an ArrayBuffer or a view on one.`);
  return copyBytes(value);
}

function hmacHash(algorithm: unknown): HashName {
  const name =
    typeof algorithm === 'object' && algorithm !== null ? (algorithm as { name?: unknown }).name : algorithm;
  if (name === undefined || toDomString(name).toUpperCase() !== 'HMAC') {
    throw new DOMException('Unrecognized algorithm name: only HMAC keys are there.', 'NotSupportedError');
  }
  const hash =
    typeof algorithm === 'object' && algorithm !== null ? (algorithm as { hash?: unknown }).hash : undefined;
  if (hash === undefined) throw new TypeError('HMAC needs a hash: { name: "HMAC", hash: "SHA-256" }.');
  return normalizeHash(hash);
}

function usagesOf(value: unknown): Usage[] {
  if (typeof value !== 'object' || value === null) throw new TypeError('The key usages must be a sequence.');
  const usages = new Set<Usage>();
  for (const item of value as Iterable<unknown>) {
    const usage = toDomString(item);
    if (usage !== 'sign' && usage !== 'verify') {
      throw new DOMException(`Unsupported key usage for an HMAC key: ${usage}`, 'SyntaxError');
    }
    usages.add(usage);
  }
  if (usages.size === 0)
    throw new DOMException('Usages cannot be empty when importing a secret key.', 'SyntaxError');
  return [...usages].sort();
}

function withLength(bytes: Uint8Array<ArrayBuffer>, algorithm: unknown): Uint8Array<ArrayBuffer> {
  if (bytes.length === 0) throw new DOMException('Zero-length key is not supported', 'DataError');
  const bits: unknown = (algorithm as { length?: unknown }).length;
  if (bits !== undefined && Number(bits) !== bytes.length * 8) {
    throw new DOMException('Invalid key length', 'DataError');
  }
  return bytes;
}

function makeKey(
  bytes: Uint8Array<ArrayBuffer>,
  hash: HashName,
  extractable: boolean,
  usages: readonly Usage[],
): CryptoKey {
  const algorithm = { name: 'HMAC', length: bytes.length * 8, hash: { name: hash } };
  return new CryptoKey(making, { bytes, hash, extractable, usages, algorithm });
}

function stateOf(key: unknown): KeyState {
  if (!isKey(key)) throw new TypeError('The key must be a CryptoKey.');
  return keyState(key);
}

function usable(algorithm: unknown, key: unknown, usage: Usage): KeyState {
  const name =
    typeof algorithm === 'object' && algorithm !== null ? (algorithm as { name?: unknown }).name : algorithm;
  const state = stateOf(key);
  if (name === undefined || toDomString(name).toUpperCase() !== 'HMAC') {
    throw new DOMException('Unrecognized algorithm name: only HMAC signs here.', 'NotSupportedError');
  }
  if (!state.usages.includes(usage)) {
    throw new DOMException(`Unable to use this key to ${usage}`, 'InvalidAccessError');
  }
  return state;
}
