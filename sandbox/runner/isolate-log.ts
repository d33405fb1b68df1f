import { FrameType } from '../../src/protocol/frame.ts';
import type { LogLine } from '../../src/protocol/messages.ts';
import type { Connection } from './connection.ts';
import type { Stacks } from './stacks.ts';

/** Log lines of one isolate on their way to the host: the guest's, and the runner's own about it. They leave together, in one frame a turn. */
export class IsolateLog {
  readonly #isolate: number;
  readonly #maxLineChars: number;
  readonly #stacks: Stacks;
  readonly #connection: Connection;
  readonly #onWaiting: () => void;
  /** JSON of the lines, separated by commas. */
  #text = '';
  #dropped = 0;

  constructor(options: {
    readonly isolate: number;
    readonly maxLineChars: number;
    readonly stacks: Stacks;
    readonly connection: Connection;
    /** There is something to flush at the end of this turn. */
    readonly onWaiting: () => void;
  }) {
    this.#isolate = options.isolate;
    this.#maxLineChars = options.maxLineChars;
    this.#stacks = options.stacks;
    this.#connection = options.connection;
    this.#onWaiting = options.onWaiting;
  }

  /** What the guest said, as JSON separated by commas, and how many lines it dropped. */
  append(lines: string, dropped: number): void {
    if (lines !== '') this.#text = this.#text === '' ? lines : `${this.#text},${lines}`;
    this.#dropped += dropped;
    this.#onWaiting();
  }

  /** A line of the runner's own. */
  write(level: LogLine['level'], message: string, requestId?: string): void {
    const line: LogLine = { level, time: Date.now(), message: message.slice(0, this.#maxLineChars) };
    this.append(JSON.stringify(requestId === undefined ? line : { ...line, requestId }), 0);
  }

  /** Hands what waits to the connection. */
  flush(): void {
    if (this.#text === '' && this.#dropped === 0) return;
    const head = `{"lines":[${this.#stacks.mapText(this.#text)}],"dropped":${this.#dropped}}`;
    this.#text = '';
    this.#dropped = 0;
    this.#connection.send(FrameType.log, this.#isolate, 0, 0, head);
  }
}
