/**
 * An expected error: the reply has its status, and its text as `detail`. Subclasses give `statusCode` and `errorText`
 * as static or instance fields; `throw new E()` and `throw E` are both right.
 */
export class UserException extends Error {
  static statusCode = 400;
  static errorText = '';
  declare readonly statusCode: number;
  declare readonly errorText: string;

  constructor(errorText?: string, statusCode?: number) {
    super(errorText ?? '');
    if (errorText !== undefined)
      Object.defineProperty(this, 'errorText', {
        value: errorText,
        writable: true,
        configurable: true,
        enumerable: true,
      });
    if (statusCode !== undefined)
      Object.defineProperty(this, 'statusCode', {
        value: statusCode,
        writable: true,
        configurable: true,
        enumerable: true,
      });
  }

  override get name(): string {
    return this.constructor.name;
  }
}

/** A request that is not what it should be: a malformed body, or one that a schema refuses. Uncaught, it is a 400. */
export class RequestInvalid extends Error {
  override readonly name = 'RequestInvalid';
}

/** A reply that can't be sent. `kind` is the outcome that it becomes. */
export class ReplyRefused extends Error {
  override readonly name = 'ReplyRefused';
  readonly kind: 'reply_invalid' | 'reply_too_large' | 'reply_not_serializable';

  constructor(kind: ReplyRefused['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}

export interface ExpectedError {
  readonly type: string;
  readonly status: number;
  readonly detail: string;
}

/** The status and text of a thrown UserException, or of a thrown class of such; undefined for anything else. */
export function expectedError(thrown: unknown): ExpectedError | undefined {
  if (typeof thrown === 'function') {
    const prototype: unknown = (thrown as { prototype?: unknown }).prototype;
    if (!(prototype instanceof UserException)) return undefined;
    return describe(thrown.name, thrown as StaticFields, {}, '');
  }
  if (!(thrown instanceof UserException)) return undefined;
  return describe(thrown.constructor.name, thrown.constructor as StaticFields, thrown, thrown.message);
}

interface StaticFields {
  readonly statusCode?: unknown;
  readonly errorText?: unknown;
}

function describe(type: string, statics: StaticFields, own: StaticFields, message: string): ExpectedError {
  const status = own.statusCode ?? statics.statusCode ?? 400;
  const text = own.errorText ?? (message !== '' ? message : statics.errorText);
  return {
    type,
    status: Number.isInteger(status) && Number(status) >= 100 && Number(status) <= 599 ? Number(status) : 500,
    detail: typeof text === 'string' ? text : text === undefined ? '' : JSON.stringify(text),
  };
}
