/**
 * How esbuild must bundle `install.ts` (alone or as part of the bootstrap). Plain data and one plugin, for whoever
 * builds: the runner's build and the tests. Not part of the bundle.
 */
import type { BuildOptions, Plugin } from 'esbuild';

/**
 * @param webFolder absolute path of this folder
 * @returns options to spread into `build`; add `entryPoints`, `format: 'iife'` or the like, and `globalName`
 */
export function webBundleOptions(webFolder: string): BuildOptions {
  return {
    bundle: true,
    // No host API is assumed; so the fields that packages name their entry by must be given.
    platform: 'neutral',
    mainFields: ['module', 'main'],
    target: 'es2024',
    // A script outside ASCII is stored with two bytes a character in every isolate.
    charset: 'ascii',
    legalComments: 'none',
    minifyWhitespace: true,
    minifySyntax: true,
    // Names stay: class names are seen by tenants, and stacks are read by people.
    minifyIdentifiers: false,
    // Sloppy functions would show up in Error.prepareStackTrace with their `this` and themselves.
    banner: { js: '"use strict";' },
    plugins: [redirects(webFolder)],
  };
}

/** Puts idna.ts between whatwg-url and the tables of tr46, and takes its other heavy or global parts away. */
function redirects(webFolder: string): Plugin {
  const fromWhatwgUrl = /[\\/]whatwg-url[\\/]/;
  return {
    name: 'isolambda-web',
    setup(build) {
      // Without an extension, so that esbuild finds `.ts` in the source tree and `.js` in the published one.
      const ours = (file: string) =>
        build.resolve(`./${file}`, { resolveDir: webFolder, kind: 'import-statement' });
      build.onResolve({ filter: /^tr46$/ }, ({ importer }) =>
        fromWhatwgUrl.test(importer) ? ours('idna') : undefined,
      );
      build.onResolve({ filter: /^\.\/encoding$/ }, ({ importer }) =>
        fromWhatwgUrl.test(importer) ? ours('url-codec') : undefined,
      );
      // The compiler rewrites the extensions of imports, not those of `require`.
      build.onResolve({ filter: /^\.\/[\w-]+\.ts$/ }, ({ path, importer, resolveDir, kind }) =>
        kind === 'require-call' && importer.endsWith('.js')
          ? build.resolve(path.replace(/\.ts$/, '.js'), { importer, resolveDir, kind })
          : undefined,
      );
      // Its parser takes an encoding for documents in legacy ones; URL and URLSearchParams are always UTF-8, so the
      // 165 KB of East Asian tables would never be read.
      build.onResolve({ filter: /^@exodus\/bytes\/encoding\.js$/ }, ({ importer, kind, resolveDir }) =>
        fromWhatwgUrl.test(importer)
          ? build.resolve('@exodus/bytes/encoding-lite.js', { importer, kind, resolveDir })
          : undefined,
      );
    },
  };
}
