/**
 * What a builder child reads: one script with everything in it, and esbuild's program. A folder with nothing else can be
 * bound into a jail, and named by `--permission`.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export interface BuilderImage {
  /** Absolute path of the folder. */
  readonly dir: string;
  /** Absolute path of the script that Node starts. */
  readonly entry: string;
  /** Absolute path of esbuild's own program, which lies elsewhere. */
  readonly esbuild: string;
  /** Removes the folder; idempotent. */
  remove(): Promise<void>;
}

const HERE = fileURLToPath(import.meta.url);
/** `.ts` in the source tree, `.js` in the published one. */
const CHILD = join(dirname(HERE), 'child', `main${extname(HERE)}`);

/** Makes the image in a new folder of the machine's temporary ones. Rejects where esbuild has no program for this platform. */
export async function makeBuilderImage(): Promise<BuilderImage> {
  const esbuild = esbuildProgram();
  const dir = await mkdtemp(join(tmpdir(), 'isolambda-builder-'));
  const remove = (): Promise<void> => rm(dir, { recursive: true, force: true });
  const entry = join(dir, 'builder.cjs');
  try {
    // By the program rather than the API, whose service would stay behind as a process of the host.
    await promisify(execFile)(
      esbuild,
      [
        CHILD,
        `--outfile=${entry}`,
        ...['--bundle', '--platform=node', '--format=cjs', '--target=node24', '--log-level=error'],
      ],
      { env: {}, timeout: 60_000 },
    );
  } catch (thrown) {
    await remove();
    throw thrown;
  }
  return { dir, entry, esbuild, remove };
}

/** npm installs the program as a package for each platform, next to esbuild's own. */
function esbuildProgram(): string {
  const near = createRequire(createRequire(HERE).resolve('esbuild'));
  const manifest = near.resolve(`@esbuild/${process.platform}-${process.arch}/package.json`);
  return process.platform === 'win32'
    ? join(dirname(manifest), 'esbuild.exe')
    : join(dirname(manifest), 'bin', 'esbuild');
}
