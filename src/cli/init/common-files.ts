import { IGNORE_FILE } from '../folder/collect.ts';
import type { LambdaType } from '../views.ts';
import { SDK_COPY } from './sdk.ts';

type Files = Readonly<Record<string, string>>;
const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** The files that the folders of all types have. */
export function commonFiles(name: string, type: LambdaType): Files {
  return {
    'package.json': json({
      name,
      private: true,
      type: 'module',
      isolambda: { type },
      scripts: { test: 'node --test' },
      devDependencies: { 'lambda-tools': `file:${SDK_COPY}` },
    }),
    'tsconfig.json': json({
      compilerOptions: {
        target: 'es2024',
        // What an isolate has is nearest to a web worker: no DOM, no Node.
        lib: ['es2024', 'webworker'],
        types: [],
        module: 'esnext',
        moduleResolution: 'bundler',
        // A module can be imported from the folder's root, as "path/file".
        paths: { '*': ['./*'] },
        strict: true,
        isolatedModules: true,
        erasableSyntaxOnly: true,
        allowImportingTsExtensions: true,
        resolveJsonModule: true,
        skipLibCheck: true,
        noEmit: true,
      },
      include: ['**/*.ts'],
      exclude: ['node_modules', 'test'],
    }),
    '.gitignore': 'node_modules/\n*.zip\n',
    [IGNORE_FILE]:
      '# What stays out of the archive, by the rules of .gitignore.\ntest/\ntsconfig.json\npackage-lock.json\n*.zip\n',
  };
}
