/** What the exit code of every command says; `isolambda --help` prints this table. */
export const EXIT = {
  ok: { code: 0, about: 'done' },
  failed: { code: 1, about: 'failed in another way than those below' },
  usage: { code: 2, about: 'wrong command line or configuration' },
  refused: { code: 3, about: 'the archive or the request was refused: the problems say why' },
  notFound: { code: 4, about: 'no such lambda, task, account, file or folder' },
  unreachable: { code: 5, about: 'no host answers' },
  notAllowed: { code: 6, about: 'the token is missing, wrong, or may not do this' },
  lambdaError: {
    code: 7,
    about: 'invoke, task: the lambda, or the host on its behalf, answered with an error',
  },
  timeout: { code: 8, about: 'gave up waiting' },
  interrupted: { code: 130, about: 'interrupted by Ctrl-C' },
} as const satisfies Record<string, { readonly code: number; readonly about: string }>;

export type ExitName = keyof typeof EXIT;

export const exitCodeHelp = (): string =>
  Object.values(EXIT)
    .map(({ code, about }) => `  ${String(code).padStart(3)}  ${about}`)
    .join('\n');
