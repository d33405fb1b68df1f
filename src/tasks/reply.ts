/** What an isolate said of a task: every byte of it is a tenant's word, and checked before it is kept. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { failure, type Failure } from '../protocol/outcome.ts';

/** Parsed in one turn of the event loop: other accounts' requests wait for no more than that. */
const CHUNK_CHARS = 256 * 1024;

/** The contents of the subtasks, JSON each; or why the reply is no split. */
export async function partsOf(body: Uint8Array, most: number): Promise<readonly string[] | Failure> {
  const text = textOf(body);
  if (text === '') return [];
  let count = 1;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count++;
  if (count > most)
    return failure(
      'reply_too_large',
      `the task was split into ${count} subtasks; allowed are ${most} (subtasks)`,
    );
  const parts = text.split('\n');
  let parsed = 0;
  for (const [at, part] of parts.entries()) {
    if (!isJsonObject(part))
      return failure('reply_invalid', `subtask ${at + 1} of the split is no JSON object`);
    parsed += part.length;
    if (parsed < CHUNK_CHARS) continue;
    parsed = 0;
    await nextTurn();
  }
  return parts;
}

/** The result of a subtask, JSON; or why it is none. */
export function resultOf(body: Uint8Array, mostBytes: number): string | Failure {
  if (body.length > mostBytes)
    return failure(
      'reply_too_large',
      `the result has ${body.length} bytes; allowed are ${mostBytes} (subtask_result_bytes)`,
    );
  const text = textOf(body);
  return isJsonObject(text) ? text : failure('reply_invalid', 'the result is no JSON object or list');
}

const textOf = (body: Uint8Array): string =>
  Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null;
  } catch {
    return false;
  }
}
