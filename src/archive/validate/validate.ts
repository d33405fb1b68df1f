import type { LambdaType } from '../../protocol/messages.ts';
import type { RouteParameters } from '../bundle.ts';
import type { ArchiveFiles } from '../intake.ts';
import type { Problem } from '../types.ts';
import { findMain } from './main-file.ts';

export interface Validated {
  /** Path of lambda_main; absent where there is none, or more than one. */
  readonly main: string | undefined;
  readonly also: { readonly path: string; readonly name: string } | undefined;
  readonly handler: string;
  readonly queueName: string | undefined;
  readonly routeParameters: readonly RouteParameters[];
  readonly problems: readonly Problem[];
}

export function validate(files: ArchiveFiles, type: LambdaType, handler: string | undefined): Validated {
  const { main, problems } = findMain(files);
  return {
    main,
    also: undefined,
    handler:
      handler ?? { standalone: 'main', handlers: 'main', tasks: 'LambdaTask', rpc: 'lambda_handler' }[type],
    queueName: undefined,
    routeParameters: [],
    problems,
  };
}
