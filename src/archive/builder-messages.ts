/** What a builder child answers, as the host checks it: the child works on hostile input, and may have been taken over by it. */
import { Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { FrameError, FrameType, type Frame } from '../protocol/frame.ts';
import { MOST_HEAD_BYTES, mostMapBytes } from './builder-frames.ts';
import { MAX_CONFIG_DEPTH, MAX_CONFIG_JSON_BYTES } from './config-file.ts';
import { MAX_PROBLEMS, MAX_TEXT } from './problem.ts';
import type { BuildResult } from './types.ts';

const Text = Type.String({ maxLength: MAX_TEXT });
const ProblemShape = Type.Object(
  {
    severity: Type.Union([Type.Literal('error'), Type.Literal('warning')]),
    rule: Type.String({ maxLength: 64, pattern: '^[a-z0-9_-]+$' }),
    message: Text,
    mend: Text,
    file: Type.Optional(Text),
    line: Type.Optional(Type.Integer({ minimum: 1 })),
    column: Type.Optional(Type.Integer({ minimum: 1 })),
  },
  { additionalProperties: false },
);
const Problems = Type.Array(ProblemShape, { maxItems: MAX_PROBLEMS });
const Refused = Type.Object({ ok: Type.Literal(false), problems: Problems }, { additionalProperties: false });
const Built = Type.Object(
  {
    ok: Type.Literal(true),
    problems: Problems,
    lambdaConfig: Type.Unknown(),
    handler: Type.String({ maxLength: 255, pattern: '^[\\p{ID_Start}$_][\\p{ID_Continue}$]*$' }),
    queueName: Type.Optional(Type.String({ maxLength: 255 })),
    codeBytes: Type.Integer({ minimum: 1 }),
  },
  { additionalProperties: false },
);
const refused = Compile(Refused);
const built = Compile(Built);

/** Throws FrameError for anything that a sound child would not say. */
export function parseResult(frame: Frame, bundleBytes: number): BuildResult {
  if (frame.type !== FrameType.loaded) throw new FrameError(`frame type ${frame.type} instead of a result`);
  if (frame.head.length > MOST_HEAD_BYTES) throw new FrameError('a result whose head is too large');
  let head: unknown;
  try {
    head = JSON.parse(frame.head);
  } catch {
    throw new FrameError('a result whose head is not JSON');
  }
  if (refused.Check(head)) {
    if (!head.problems.some((item) => item.severity === 'error'))
      throw new FrameError('refused without an error');
    return head;
  }
  if (!built.Check(head)) throw new FrameError('a result of the wrong shape');
  const { codeBytes, lambdaConfig, handler, queueName, problems } = head;
  if (problems.some((item) => item.severity === 'error')) throw new FrameError('built in spite of an error');
  if (codeBytes > bundleBytes || codeBytes > frame.body.length)
    throw new FrameError('a bundle of a wrong size');
  if (frame.body.length - codeBytes > mostMapBytes(bundleBytes))
    throw new FrameError('a source map of a wrong size');
  if (!isConfig(lambdaConfig)) throw new FrameError('a configuration that no file could make');
  return {
    ok: true,
    problems,
    bundle: {
      code: frame.body.subarray(0, codeBytes),
      map: frame.body.subarray(codeBytes),
      lambdaConfig,
      handler,
      ...(queueName === undefined ? {} : { queueName }),
    },
  };
}

/** A mapping or nothing, no deeper and no larger than config-file.ts lets pass: what is deeper could overflow a stack later on. */
function isConfig(config: unknown): boolean {
  if (config === null) return true;
  if (typeof config !== 'object' || Array.isArray(config) || depthOf(config, 0) > MAX_CONFIG_DEPTH)
    return false;
  return JSON.stringify(config).length <= 2 * MAX_CONFIG_JSON_BYTES;
}

function depthOf(value: unknown, above: number): number {
  if (typeof value !== 'object' || value === null || above > MAX_CONFIG_DEPTH) return above;
  let deepest = above;
  for (const item of Object.values(value)) deepest = Math.max(deepest, depthOf(item, above + 1));
  return deepest;
}
