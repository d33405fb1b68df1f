/** DOMException, after https://webidl.spec.whatwg.org/#idl-DOMException. Written here: no kept package is left. */
import { registerCloneable } from './cloneable.ts';
import { toDomString } from './webidl.ts';

/** Names with a legacy code, in the order of their codes; holes are codes that no name has any more. */
const CODES: readonly (readonly [name: string, constant: string, code: number])[] = [
  ['IndexSizeError', 'INDEX_SIZE_ERR', 1],
  ['', 'DOMSTRING_SIZE_ERR', 2],
  ['HierarchyRequestError', 'HIERARCHY_REQUEST_ERR', 3],
  ['WrongDocumentError', 'WRONG_DOCUMENT_ERR', 4],
  ['InvalidCharacterError', 'INVALID_CHARACTER_ERR', 5],
  ['', 'NO_DATA_ALLOWED_ERR', 6],
  ['NoModificationAllowedError', 'NO_MODIFICATION_ALLOWED_ERR', 7],
  ['NotFoundError', 'NOT_FOUND_ERR', 8],
  ['NotSupportedError', 'NOT_SUPPORTED_ERR', 9],
  ['InUseAttributeError', 'INUSE_ATTRIBUTE_ERR', 10],
  ['InvalidStateError', 'INVALID_STATE_ERR', 11],
  ['SyntaxError', 'SYNTAX_ERR', 12],
  ['InvalidModificationError', 'INVALID_MODIFICATION_ERR', 13],
  ['NamespaceError', 'NAMESPACE_ERR', 14],
  ['InvalidAccessError', 'INVALID_ACCESS_ERR', 15],
  ['', 'VALIDATION_ERR', 16],
  ['TypeMismatchError', 'TYPE_MISMATCH_ERR', 17],
  ['SecurityError', 'SECURITY_ERR', 18],
  ['NetworkError', 'NETWORK_ERR', 19],
  ['AbortError', 'ABORT_ERR', 20],
  ['URLMismatchError', 'URL_MISMATCH_ERR', 21],
  ['QuotaExceededError', 'QUOTA_EXCEEDED_ERR', 22],
  ['TimeoutError', 'TIMEOUT_ERR', 23],
  ['InvalidNodeTypeError', 'INVALID_NODE_TYPE_ERR', 24],
  ['DataCloneError', 'DATA_CLONE_ERR', 25],
];

let isDomException: (value: object) => value is DOMException;

export class DOMException extends Error {
  #name: string;
  #message: string;

  constructor(message: unknown = '', options: unknown = 'Error') {
    const text = toDomString(message);
    super(text);
    // Error makes an own property of it, which V8 reads for the stack's first line; on a DOMException the message is
    // an accessor of the prototype.
    Reflect.deleteProperty(this, 'message');
    this.#message = text;
    if (typeof options === 'object' && options !== null) {
      const given = options as { name?: unknown; cause?: unknown };
      this.#name = given.name === undefined ? 'Error' : toDomString(given.name);
      if ('cause' in given) {
        Object.defineProperty(this, 'cause', {
          value: given.cause,
          configurable: true,
          writable: true,
          enumerable: false,
        });
      }
    } else {
      this.#name = toDomString(options);
    }
  }

  override get name(): string {
    return this.#name;
  }

  override get message(): string {
    return this.#message;
  }

  get code(): number {
    const name = this.#name;
    if (name === '') return 0;
    return CODES.find((row) => row[0] === name)?.[2] ?? 0;
  }

  static {
    isDomException = (value): value is DOMException => #name in value;
  }
}
export { isDomException };

Object.defineProperty(DOMException, 'name', { value: 'DOMException', configurable: true });
for (const key of ['name', 'message', 'code']) {
  Object.defineProperty(DOMException.prototype, key, { enumerable: true });
}
Object.defineProperty(DOMException.prototype, Symbol.toStringTag, {
  value: 'DOMException',
  configurable: true,
});
for (const [, constant, code] of CODES) {
  const fixed = { value: code, enumerable: true, configurable: false, writable: false };
  Object.defineProperty(DOMException, constant, fixed);
  Object.defineProperty(DOMException.prototype, constant, fixed);
}

registerCloneable({
  is: isDomException,
  clone: (value) => {
    const original = value as DOMException;
    const copy = new DOMException(original.message, original.name);
    const stack: unknown = original.stack;
    if (typeof stack === 'string') {
      Object.defineProperty(copy, 'stack', {
        value: stack,
        configurable: true,
        writable: true,
        enumerable: false,
      });
    }
    return copy;
  },
});
