/**
 * What a builder child reads: one script with everything in it, and esbuild's program. A folder with nothing else can be
 * bound into a jail, and named by `--permission`.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, extname, join, resolve } from 'node:path';
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

/**
 * Makes the image in `folder`, which is emptied first, or in a new one among the machine's temporary ones. Rejects where esbuild
 * has no program for this platform.
 */
export async function makeBuilderImage(folder?: string): Promise<BuilderImage> {
  const esbuild = esbuildProgram();
  const dir =
    folder === undefined
      ? await mkdtemp(join(tmpdir(), 'isolambda-builder-'))
      : await emptied(resolve(folder));
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

async function emptied(folder: string): Promise<string> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return folder;
}

/** npm installs the program as a package for each platform, next to esbuild's own. */
function esbuildProgram(): string {
  const near = createRequire(createRequire(HERE).resolve('esbuild'));
  const manifest = near.resolve(`@esbuild/${process.platform}-${process.arch}/package.json`);
  return process.platform === 'win32'
    ? join(dirname(manifest), 'esbuild.exe')
    : join(dirname(manifest), 'bin', 'esbuild');
}
