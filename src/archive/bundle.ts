/**
 * Files of an archive to one script, by esbuild over a virtual file system.
 *
 * The script is a function expression that the guest calls:
 *
 *     (function(__isolambda){
 *     "use strict";
 *     ...esbuild's output...
 *     return <namespace of lambda_main>;
 *     })
 *
 * `__isolambda["lambda-tools"]` is the SDK's namespace, `__isolambda["lambda-tools/tasks"]` its tasks part. Positions of
 * the source map are those of the wrapped script; its sources are paths of the archive, without their content, which
 * the archive itself keeps.
 */
import { Script } from 'node:vm';
import { build, type BuildOptions, type BuildResult as EsbuildResult, type OutputFile } from 'esbuild';
import { archivePlugin, ARCHIVE } from './bundle-plugin.ts';
import { fromMessages } from './bundle-problems.ts';
import type { ArchiveFiles } from './intake.ts';
import { error, hasErrors } from './problem.ts';
import { createResolver } from './resolve.ts';
import { staticSource } from './static-files.ts';
import type { Problem } from '../errors/problem.ts';

export interface BundleInput {
  readonly files: ArchiveFiles;
  /** Path of lambda_main. */
  readonly main: string;
  /** A second module whose exports join those of lambda_main: where an `rpc` lambda names its handler as module:handler. */
  readonly also?: { readonly path: string; readonly name: string } | undefined;
  /** Parameter names of route handlers, in the order of ROUTES_TO_ADD. */
  readonly routeParameters?: readonly RouteParameters[] | undefined;
  readonly bundleBytes: number;
}

/** For each HTTP method of a handler class: the names of its parameters in order, as the tenant wrote them. */
export type RouteParameters = Readonly<Record<string, readonly string[]>>;

export interface BundleOutput {
  readonly code?: Uint8Array;
  readonly map?: Uint8Array;
  readonly problems: readonly Problem[];
}

const HEAD = '(function(__isolambda){\n"use strict";';
const NAMESPACE = '__lambda';
const ENTRY = 'lambda';

export const BUNDLE_OPTIONS = {
  bundle: true,
  write: false,
  format: 'iife',
  globalName: NAMESPACE,
  // The platform of no platform: no built-ins, no globals of a browser.
  platform: 'neutral',
  target: 'es2024',
  sourcemap: 'external',
  sourcesContent: false,
  sourceRoot: '',
  outfile: '/lambda.js',
  // Nothing is looked up on a disk: esbuild would read a tsconfig.json beside the working directory.
  tsconfigRaw: '{}',
  absWorkingDir: '/',
  minify: false,
  keepNames: true,
  treeShaking: true,
  legalComments: 'none',
  charset: 'utf8',
  logLevel: 'silent',
  logLimit: 200,
  jsx: 'automatic',
  // Vendored packages ask these of a bundler; an isolate has neither `process` nor `global`.
  define: { 'process.env.NODE_ENV': '"production"', 'import.meta.main': 'false', global: 'globalThis' },
  banner: { js: HEAD },
} as const satisfies BuildOptions;

/** Never throws for what is wrong with the archive; throws where esbuild itself broke down. */
export async function bundle(input: BundleInput): Promise<BundleOutput> {
  const resolver = createResolver(input.files);
  const archive = archivePlugin(input.files, resolver, ENTRY, entrySource(input));
  let result: EsbuildResult<{ write: false }>;
  try {
    result = await build({
      ...BUNDLE_OPTIONS,
      entryPoints: [ENTRY],
      footer: {
        js: `${parametersSource(input.routeParameters)}${staticSource(input.files, NAMESPACE)}return ${NAMESPACE};\n})`,
      },
      plugins: [archive.plugin],
    });
  } catch (thrown) {
    const failed = thrown as Partial<EsbuildResult>;
    if (!Array.isArray(failed.errors)) throw thrown;
    return {
      problems: [...archive.problems(), ...fromMessages(failed.errors, failed.warnings ?? [], archive)],
    };
  }
  const problems = [...archive.problems(), ...fromMessages([], result.warnings, archive)];
  if (hasErrors(problems)) return { problems };
  const code = contentsOf(result.outputFiles, '.js');
  const map = contentsOf(result.outputFiles, '.map');
  const wrong = checkScript(code, input.bundleBytes);
  return wrong ? { problems: [...problems, wrong] } : { code, map: cleanMap(map), problems };
}

/** The namespace that is returned is that of a module made here, so that lambda_main may be CommonJS or ES. */
function entrySource({ main, also }: BundleInput): string {
  const text = (path: string): string => JSON.stringify(`${ARCHIVE}:${path}`);
  if (!also) return `export * from ${text(main)};`;
  return `export * from ${text(main)}; export { ${also.name} } from ${text(also.path)};`;
}

/**
 * esbuild renames a parameter where a name at the top of any module is the same, so the names that the guest must know
 * (path parameters are passed by name) go with the script.
 */
function parametersSource(routes: readonly RouteParameters[] | undefined): string {
  if (!routes?.some((methods) => Object.keys(methods).length > 0)) return '';
  return (
    `${NAMESPACE}.ROUTES_TO_ADD.forEach((handler, index) => { ` +
    `for (const [method, names] of Object.entries(${JSON.stringify(routes)}[index] ?? {})) ` +
    `Object.defineProperty(handler.prototype[method], Symbol.for("isolambda.parameters"), { value: Object.freeze(names) }); });\n`
  );
}

function contentsOf(files: readonly OutputFile[], ending: string): Uint8Array {
  const file = files.find((item) => item.path.endsWith(ending));
  if (!file) throw new Error(`esbuild wrote no ${ending} file`);
  return file.contents;
}

/** esbuild writes `namespace:path`; a tenant's stack shows the path. */
function cleanMap(map: Uint8Array): Uint8Array {
  const parsed = JSON.parse(Buffer.from(map).toString()) as { sources: string[] };
  parsed.sources = parsed.sources.map((source) => source.slice(source.indexOf(':') + 1));
  return Buffer.from(JSON.stringify(parsed));
}

/** esbuild lets pass what strict mode forbids in vendored sloppy code: V8 says so now rather than when the lambda starts. */
function checkScript(code: Uint8Array, mostBytes: number): Problem | undefined {
  if (code.length > mostBytes)
    return error(
      'bundle_too_large',
      `the bundle has ${code.length} bytes; allowed are ${mostBytes} (bundle_bytes)`,
      'Import less: choose smaller packages, or their parts. Files in static/ count, four bytes for three.',
    );
  try {
    new Script(Buffer.from(code).toString(), { filename: 'lambda.js' });
    return undefined;
  } catch (thrown) {
    return error(
      'strict_mode',
      `the bundle is no strict-mode JavaScript: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
      'A vendored package uses syntax that strict mode forbids (with, octal literals): use another, or a newer release of it.',
    );
  }
}
