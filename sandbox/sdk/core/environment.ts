/**
 * What `lambda-tools` needs from where it runs. The sandbox binds it before a lambda's module is evaluated; outside
 * (in a lambda's own tests) the defaults stand: log lines go to the console, there are no services.
 */
export type LogLevel = 'debug' | 'info' | 'warning' | 'error' | 'critical';

export interface Environment {
  /** Takes one line. `requestId` is given where the line belongs to a request. */
  writeLog(
    level: LogLevel,
    message: string,
    fields: Record<string, unknown> | undefined,
    requestId?: string,
  ): void;
  /** A call to a service client. */
  callService(call: ServiceCall): Promise<ServiceAnswer>;
  /** Epoch milliseconds. */
  now(): number;
}

export interface ServiceCall {
  readonly service: string;
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string | Uint8Array | undefined;
  /** The invocation on whose account it runs. */
  readonly invocation: number;
}

export interface ServiceAnswer {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string | Uint8Array;
}

interface PlainConsole {
  debug(...parts: unknown[]): void;
  info(...parts: unknown[]): void;
  warn(...parts: unknown[]): void;
  error(...parts: unknown[]): void;
}

const outside: Environment = {
  writeLog(level, message, fields) {
    const { console } = globalThis as { console?: PlainConsole };
    const write = {
      debug: 'debug',
      info: 'info',
      warning: 'warn',
      error: 'error',
      critical: 'error',
    } as const;
    console?.[write[level]](message, ...(fields === undefined ? [] : [fields]));
  },
  callService(call) {
    return Promise.reject(new Error(`there is no service "${call.service}" outside of isolambda`));
  },
  now: () => Date.now(),
};

let bound: Environment = outside;

export function bindEnvironment(environment: Environment): void {
  bound = environment;
}

export function environment(): Environment {
  return bound;
}
