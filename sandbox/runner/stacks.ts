import { originalPositionFor, TraceMap } from '@jridgewell/trace-mapping';
import { GUEST_SCRIPT, LAMBDA_SCRIPT } from '../bridge/wire.ts';

const POSITION = new RegExp(`${LAMBDA_SCRIPT.replace('.', '\\.')}:(\\d+):(\\d+)`, 'g');
const FOREIGN_FRAME = new RegExp(`^\\s+at .*(?:${GUEST_SCRIPT}|<isolated-vm boundary>).*\\n?`, 'gm');
const MAX_STACK_CHARS = 16 * 1024;

export interface Position {
  readonly source: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

/**
 * Turns positions in the bundle into positions in the tenant's files. Done here and not in the host, because the map
 * comes from the tenant's build: a hostile one costs its own account's process. It is parsed on the first error.
 */
export class Stacks {
  #json: Buffer | undefined;
  #map: TraceMap | undefined;

  constructor(mapJson: Buffer) {
    this.#json = mapJson.length > 0 ? Buffer.from(mapJson) : undefined;
  }

  /** Where the bundle's position came from; line and column from 1. Undefined where the map does not say. */
  locate(line: number, column: number): Position | undefined {
    const map = this.#parsed();
    if (map === undefined || line < 1 || column < 1) return undefined;
    try {
      const found = originalPositionFor(map, { line, column: column - 1 });
      return found.source === null
        ? undefined
        : { source: found.source, line: found.line, column: found.column + 1 };
    } catch {
      return undefined;
    }
  }

  /** A stack with the tenant's own positions, and without the frames of the sandbox. */
  map(stack: string): string {
    return this.mapText(stack.slice(0, MAX_STACK_CHARS).replace(FOREIGN_FRAME, '')).trimEnd();
  }

  /** Replaces the positions wherever they stand in a text; in JSON text, too, as file names are escaped. */
  mapText(text: string): string {
    if (!text.includes(LAMBDA_SCRIPT)) return text;
    return text.replace(POSITION, (whole, line: string, column: string) => {
      const at = this.locate(Number(line), Number(column));
      return at === undefined ? whole : `${JSON.stringify(at.source).slice(1, -1)}:${at.line}:${at.column}`;
    });
  }

  #parsed(): TraceMap | undefined {
    if (this.#json !== undefined) {
      const json = this.#json;
      this.#json = undefined;
      try {
        this.#map = new TraceMap(json.toString('utf8'));
      } catch {
        this.#map = undefined;
      }
    }
    return this.#map;
  }
}
