/**
 * A builder child: boots, warms up, says that it is ready, takes one archive, answers, and ends. It never sees a second one.
 * Started by builder-jail.ts with a socketpair on descriptor 3.
 */
import { Socket } from 'node:net';
import { decodeRequest, encodeReady, encodeResult, mostMapBytes } from '../builder-frames.ts';
import { error } from '../problem.ts';
import { buildFiles, buildArchive } from '../pipeline.ts';
import { FrameDecoder } from '../../protocol/frame.ts';
import type { BuildRequest, BuildResult } from '../types.ts';

/** As builder-jail.ts starts it. */
const CHANNEL_FD = 3;
/** The host bounds what it sends by the account's limits; a frame's length has 32 bits. */
const MOST_REQUEST_BYTES = 0xffffffff;

const channel = new Socket({ fd: CHANNEL_FD });
// The host went away, or has what it wanted.
channel.once('close', () => process.exit(0));
channel.once('error', () => process.exit(1));

const write = (buffers: readonly Uint8Array[]): void => {
  channel.cork();
  for (const buffer of buffers) channel.write(buffer);
  channel.uncork();
};

/** Starts esbuild's service and compiles our own code, so that the archive to come does not wait for either. */
async function warmUp(): Promise<void> {
  const source = `import { LambdaUserHandler } from "lambda-tools"; import { a } from "./a";
    class H extends LambdaUserHandler { static route = "/a/<b:int>"; async get(b: number) { return b; } }
    export const ROUTES_TO_ADD = [H]; export async function main(request: unknown) { return a; }`;
  const files = new Map([
    ['lambda_main.ts', Buffer.from(source)],
    ['a.ts', Buffer.from('export const a: number = 1;')],
    ['lambda_config.yml', Buffer.from('a: 1\n')],
  ]);
  const limits = { archive_bytes: 1e6, unpacked_bytes: 1e6, archive_files: 10, bundle_bytes: 1e6 };
  await buildFiles(files, { type: 'standalone', limits });
}

async function answer(request: BuildRequest): Promise<BuildResult> {
  const result = await buildArchive(request);
  if (!result.ok || result.bundle.map.length <= mostMapBytes(request.limits.bundle_bytes)) return result;
  const problem = error('bundle_too_large', 'the source map is too large', 'Import less.');
  return { ok: false, problems: [problem] };
}

async function serve(): Promise<void> {
  await warmUp();
  const decoder = new FrameDecoder(MOST_REQUEST_BYTES);
  channel.on('data', (chunk: Buffer) => {
    for (const frame of decoder.push(chunk)) {
      channel.removeAllListeners('data');
      answer(decodeRequest(frame)).then(
        (result) => {
          write(encodeResult(result));
          channel.end();
        },
        (thrown: unknown) => {
          // esbuild's service died: the host tells why from what it saw of memory and time.
          process.stderr.write(String(thrown instanceof Error ? thrown.stack : thrown).slice(0, 4_000));
          process.exit(3);
        },
      );
    }
  });
  write(encodeReady());
}

void serve();
