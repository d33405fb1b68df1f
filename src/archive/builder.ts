/**
 * Builds archives, each in a fresh child process: untrusted input goes through parsers and esbuild there, within a deadline and a
 * memory limit, behind a wall. Booted children wait, so that a build does not.
 */
import type { Config } from '../config/config.ts';
import { IsolambdaError } from '../errors/error.ts';
import type { Logger } from '../telemetry/log.ts';
import { makeBuilderImage, type BuilderImage } from './builder-image.ts';
import { chooseBuilderJail, type BuilderJail } from './builder-jail.ts';
import { BuilderLost, BuilderProcess } from './builder-process.ts';
import type { BuildRequest, BuildResult, Builder } from './types.ts';

export interface BuilderOptions {
  readonly config: Pick<Config, 'jail' | 'buildTimeoutMs' | 'buildMemoryMb' | 'buildConcurrency'>;
  readonly log: Pick<Logger, 'debug' | 'info' | 'warn'>;
  /** Children that are kept booted; by default as many as build at once, two at most. */
  readonly spares?: number | undefined;
  /** Folder of what the children read, which is emptied first: a host that was killed leaves nothing behind in its data folder. By default a temporary one. */
  readonly imageDir?: string | undefined;
}

const MOST_SPARES = 2;
/** Booting a spare takes a core for a moment: the lambda that was just built has its first requests first. */
const REFILL_AFTER_MS = 200;

interface Ground {
  readonly image: BuilderImage;
  readonly jail: BuilderJail;
}

/** Begins to boot children at once. `build` waits for what it needs. */
export function createBuilder({ config, log, spares: wanted, imageDir }: BuilderOptions): Builder {
  const mostSpares = wanted ?? Math.min(MOST_SPARES, config.buildConcurrency);
  const spares: BuilderProcess[] = [];
  const alive = new Set<BuilderProcess>();
  const queue: (() => void)[] = [];
  let building = 0;
  let closed: Promise<void> | undefined;
  let ground: Promise<Ground> | undefined;
  let refillTimer: NodeJS.Timeout | undefined;

  const prepare = (): Promise<Ground> => {
    ground ??= makeGround(config, log, imageDir);
    // What failed once (a full disk) may work later.
    ground.catch(() => (ground = undefined));
    return ground;
  };

  const boot = ({ jail }: Ground): BuilderProcess => {
    const child = new BuilderProcess(jail);
    alive.add(child);
    void child.gone.then(() => {
      alive.delete(child);
      const at = spares.indexOf(child);
      if (at >= 0) spares.splice(at, 1);
    });
    return child;
  };

  /** Boots spares in the background; one that fails is not tried again before the next build. */
  const refill = (): void => {
    if (closed || mostSpares === 0) return;
    prepare().then(
      (made) => {
        while (!closed && spares.length < mostSpares) spares.push(boot(made));
      },
      (thrown: unknown) => log.warn({ err: thrown }, 'no builder can be made'),
    );
  };

  const take = async (): Promise<BuilderProcess> => {
    const made = await prepare().catch((thrown: unknown) => {
      throw new IsolambdaError('configuration', `no builder can be made: ${String(thrown)}`, {
        cause: thrown,
      });
    });
    let spare = spares.shift();
    while (spare && !spare.alive) spare = spares.shift();
    return spare ?? boot(made);
  };

  /** Resolves when this build's turn has come. */
  const turn = (signal: AbortSignal | undefined): Promise<void> => {
    if (building < config.buildConcurrency) {
      building++;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        queue.splice(queue.indexOf(go), 1);
        reject(reasonOf(signal));
      };
      const go = (): void => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      queue.push(go);
      signal?.addEventListener('abort', leave, { once: true });
    });
  };

  const endTurn = (): void => {
    const next = queue.shift();
    if (next) next();
    else building--;
  };

  refill();

  return {
    async build(request, signal) {
      signal?.throwIfAborted();
      assertOpen(closed);
      await turn(signal);
      let child: BuilderProcess | undefined;
      let timer: NodeJS.Timeout | undefined;
      const abort = (): void => child?.kill('was called off');
      try {
        signal?.throwIfAborted();
        assertOpen(closed);
        child = await take();
        signal?.throwIfAborted();
        assertOpen(closed);
        signal?.addEventListener('abort', abort, { once: true });
        const running = child;
        timer = setTimeout(
          () => running.kill(`took longer than ${config.buildTimeoutMs} ms (build.timeout_ms)`),
          config.buildTimeoutMs,
        );
        return await run(running, request);
      } catch (thrown) {
        if (signal?.aborted) throw reasonOf(signal);
        if (!(thrown instanceof BuilderLost)) throw thrown;
        log.warn({ reason: thrown.message, stderr: child?.stderr }, 'a builder gave no result');
        throw new IsolambdaError('build_failed', `The builder ${thrown.message}.`, { cause: thrown });
      } finally {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        child?.kill('was done');
        endTurn();
        clearTimeout(refillTimer);
        refillTimer = setTimeout(refill, REFILL_AFTER_MS).unref();
      }
    },

    close() {
      closed ??= shutDown();
      return closed;
    },
  };

  function run(child: BuilderProcess, request: BuildRequest): Promise<BuildResult> {
    return child.build(request, config.buildMemoryMb);
  }

  async function shutDown(): Promise<void> {
    // After this turn of the loop `closed` is set, and nothing boots any more.
    await Promise.resolve();
    clearTimeout(refillTimer);
    const made = await ground?.catch(() => undefined);
    const ending = [...alive];
    for (const child of ending) child.kill('was stopped: the host is shutting down');
    await Promise.all(ending.map((child) => child.gone));
    await made?.image.remove();
  }
}

async function makeGround(
  config: BuilderOptions['config'],
  log: BuilderOptions['log'],
  imageDir: string | undefined,
): Promise<Ground> {
  const image = await makeBuilderImage(imageDir);
  try {
    const jail = await chooseBuilderJail({ image, mode: config.jail, memoryMb: config.buildMemoryMb });
    if (jail.kind === 'none') log.info({ reason: jail.reason }, 'builders run without a process jail');
    return { image, jail };
  } catch (thrown) {
    await image.remove();
    throw thrown;
  }
}

function assertOpen(closed: Promise<void> | undefined): void {
  if (closed) throw new IsolambdaError('draining', 'The host is shutting down: it builds no more archives.');
}

function reasonOf(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason : new Error('the build was called off', { cause: reason });
}
