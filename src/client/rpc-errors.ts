/** Every way in which `RpcClient.call` can fail; a call rejects with exactly one of them, or with its signal's reason. */
export type RpcErrorCode =
  'unroutable' | 'timeout' | 'lambda_error' | 'connection_lost' | 'invalid_request' | 'invalid_reply';

export abstract class RpcError extends Error {
  abstract readonly code: RpcErrorCode;
  readonly queue: string;

  constructor(queue: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.queue = queue;
  }
}

/** No such queue: nothing serves it. The request was not delivered. */
export class Unroutable extends RpcError {
  override readonly name = 'Unroutable';
  readonly code = 'unroutable';

  constructor(queue: string) {
    super(queue, `no queue "${queue}": start what serves it, or check the name`);
  }
}

/** No reply within `timeoutMs`. The request may have run, or may still run. */
export class Timeout extends RpcError {
  override readonly name = 'Timeout';
  readonly code = 'timeout';
  readonly timeoutMs: number;

  /** `refusals`: how often the broker did not take the request. */
  constructor(queue: string, timeoutMs: number, refusals = 0) {
    const refused = refusals === 0 ? '' : `: the broker refused the request ${refusals} times`;
    super(queue, `no reply from queue "${queue}" within ${timeoutMs} ms${refused}`);
    this.timeoutMs = timeoutMs;
  }
}

/** The connection broke between request and reply: the request may have run. Or no connection could be made. */
export class ConnectionLost extends RpcError {
  override readonly name = 'ConnectionLost';
  readonly code = 'connection_lost';

  constructor(queue: string, why: string, cause?: unknown) {
    super(queue, `call of queue "${queue}": connection lost: ${why}`, cause);
  }
}

/** The payload, queue or headers cannot be sent. Nothing was. */
export class InvalidRequest extends RpcError {
  override readonly name = 'InvalidRequest';
  readonly code = 'invalid_request';

  constructor(queue: string, why: string, cause?: unknown) {
    super(queue, `call of queue "${queue}": ${why}`, cause);
  }
}

/** A reply came, but is not what its content type says. */
export class InvalidReply extends RpcError {
  override readonly name = 'InvalidReply';
  readonly code = 'invalid_reply';

  constructor(queue: string, why: string, cause?: unknown) {
    super(queue, `reply of queue "${queue}": ${why}`, cause);
  }
}

/** The lambda threw, broke a limit, or could not be run: what its error reply says. */
export class LambdaError extends RpcError {
  override readonly name = 'LambdaError';
  readonly code = 'lambda_error';
  /** The lambda chose to refuse (a UserException), as against a fault. */
  readonly handled: boolean;
  readonly errorType: string;
  readonly errorMessage: string;
  /** Names the request in the lambda's log. */
  readonly requestId: string | undefined;
  /** Frames of the lambda's own files; only where the lambda gives them away. */
  readonly stackTrace: readonly string[] | undefined;

  constructor(queue: string, handled: boolean, body: Readonly<Record<string, unknown>>) {
    const errorType = typeof body.errorType === 'string' ? body.errorType : 'Error';
    const errorMessage = typeof body.errorMessage === 'string' ? body.errorMessage : '';
    super(queue, `${errorType}: ${errorMessage}`);
    this.handled = handled;
    this.errorType = errorType;
    this.errorMessage = errorMessage;
    this.requestId = typeof body.requestId === 'string' ? body.requestId : undefined;
    const { stackTrace } = body;
    this.stackTrace = Array.isArray(stackTrace)
      ? stackTrace.filter((line): line is string => typeof line === 'string')
      : undefined;
  }
}
