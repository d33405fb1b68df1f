import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError } from '../command-error.ts';
import { LAMBDA_TYPES } from '../options.ts';
import type { LambdaType } from '../views.ts';

/** The type that a folder's package.json states (`"isolambda": {"type": "rpc"}`, as `init` writes it); else `standalone`. */
export function lambdaTypeOf(path: string): LambdaType {
  const stated = statedType(path);
  if (stated === undefined) return 'standalone';
  const type = LAMBDA_TYPES.find((known) => known === stated);
  if (type === undefined)
    throw new CommandError(
      'usage',
      `${join(path, 'package.json')}: isolambda.type is ${JSON.stringify(stated)}`,
      {
        mend: `Write one of ${LAMBDA_TYPES.join(', ')}.`,
      },
    );
  return type;
}

function statedType(path: string): unknown {
  try {
    if (!statSync(path).isDirectory()) return undefined;
    const parsed: unknown = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
    const own = (parsed as { readonly isolambda?: { readonly type?: unknown } } | null)?.isolambda;
    return own?.type;
  } catch {
    // None, or none that can be read: the default holds, and the build names what is wrong with it.
    return undefined;
  }
}
