import { RequestInvalid } from './exceptions.ts';
import type { LambdaRequest } from './request.ts';
import { sendResponse, type LambdaResponse, type ResponseOptions } from './response.ts';
import { validate, type Validator } from './schema.ts';

export interface QueryParamOptions<T> {
  /** A Standard Schema, or a function that returns the good value and throws for a bad one. */
  readonly validator?: ((value: string) => T) | undefined;
  readonly required?: boolean | undefined;
  readonly default?: T | undefined;
}

export interface Pagination {
  /** From 1. */
  readonly page: number;
  readonly pageSize: number;
}

const DEFAULT_PAGE_SIZE = 10;
const MAX_PAGE_SIZE = 1_000;

/** The request that a handler is being made for: a subclass's own constructor may not pass it on. */
let pending: LambdaRequest | undefined;

export function createHandler(
  Handler: new (request: LambdaRequest) => LambdaUserHandler,
  request: LambdaRequest,
): LambdaUserHandler {
  const before = pending;
  pending = request;
  try {
    return new Handler(request);
  } finally {
    pending = before;
  }
}

/**
 * An added route: `static route = "/parameters/<parameter:REGEX>"`, and at least one of the async methods `get`, `post`,
 * `put`, `patch`, `head`, `options`, `delete`, which take the path's parameters by name. One instance a request.
 */
export abstract class LambdaUserHandler {
  static route: string;
  readonly request: LambdaRequest;

  constructor(request?: LambdaRequest) {
    const given = request ?? pending;
    if (given === undefined) throw new TypeError('a handler is made for a request');
    this.request = given;
  }

  get logger(): LambdaRequest['logger'] {
    return this.request.logger;
  }
  get clients(): LambdaRequest['clients'] {
    return this.request.clients;
  }
  /** The request's body as a ReadableStream. */
  get stream(): unknown {
    return this.request.stream;
  }

  sendResponse(
    statusOrOptions: number | (ResponseOptions & { readonly statusCode?: number }) = 200,
    options: ResponseOptions = {},
  ): LambdaResponse {
    return sendResponse(statusOrOptions, options);
  }

  /** A JSON reply; without a body, an empty one. */
  success(body?: unknown, statusCode = 200): LambdaResponse {
    return body === undefined ? sendResponse(statusCode) : sendResponse(statusCode, { json: body });
  }

  /** An error reply: a text or an Error becomes `{"detail": ...}`, an object is sent as it is. */
  error(statusCode: number, error: unknown): LambdaResponse {
    const json =
      error instanceof Error
        ? { detail: error.message }
        : typeof error === 'object' && error !== null
          ? error
          : { detail: String(error) };
    return sendResponse(statusCode, { json });
  }

  /**
   * A parameter of the query, first value. Missing and `required`, or refused by the validator, it is a 400.
   * `getQueryParam("page", Number)` is short for `{ validator: Number }`.
   */
  getQueryParam<T = string>(
    name: string,
    options: QueryParamOptions<T> | ((value: string) => T) = {},
  ): T | undefined {
    const {
      validator,
      required = false,
      default: fallback,
    } = typeof options === 'function' ? { validator: options, required: false, default: undefined } : options;
    const text = this.request.args.get(name);
    if (text === undefined) {
      if (required) throw new RequestInvalid(`query parameter "${name}" is required`);
      return fallback;
    }
    if (validator === undefined) return text as T;
    try {
      return validator(text);
    } catch (error) {
      throw new RequestInvalid(
        `query parameter "${name}": ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }

  /** The body as JSON, checked where a schema is given. */
  async loadDataFromJson<T = unknown>(schema?: Validator<T>): Promise<T> {
    const { json } = this.request;
    return schema === undefined ? (json as T) : validate(schema, json, 'request body');
  }

  /** The query, first values, checked where a schema is given. */
  async loadDataFromQuery<T = Record<string, string>>(schema?: Validator<T>): Promise<T> {
    const query = { ...this.request.args };
    return schema === undefined ? (query as T) : validate(schema, query, 'query');
  }

  /** The header `Luna-Account-Id`, else the account that the host knows the caller by. */
  getAccountIdFromHeader(required = true): string | undefined {
    const id = this.request.headers.get('luna-account-id') ?? this.request.accountId;
    if (required && id === '') throw new RequestInvalid('header "Luna-Account-Id" is required');
    return id === '' ? undefined : id;
  }

  /** `page` (from 1, default 1) and `page_size` (1 to 1000, default 10) of the query. */
  getPagination(): Pagination {
    return {
      page: this.#whole(['page'], 1, Number.MAX_SAFE_INTEGER),
      pageSize: this.#whole(['page_size', 'pageSize'], DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE),
    };
  }

  #whole(names: readonly string[], fallback: number, max: number): number {
    const name = names.find((key) => this.request.args.get(key) !== undefined);
    if (name === undefined) return fallback;
    const text = this.request.args.get(name)!;
    const number = /^\d+$/.test(text) ? Number(text) : NaN;
    if (!(number >= 1 && number <= max)) {
      throw new RequestInvalid(`query parameter "${name}" must be a whole number from 1 to ${max}`);
    }
    return number;
  }
}
