import type IsolatedVm from 'isolated-vm';
import { LAMBDA_SCRIPT } from '../bridge/wire.ts';
import type { Stacks } from './stacks.ts';

/** Microseconds between two samples. */
const INTERVAL_US = 1_000;
/** A profile leaves in one frame, whose least bound is a reply of this size: of a longer one every second sample is left out, again and again. */
const MAX_CHARS = 8 * 1024 * 1024;

/** What V8's `Profiler.stop` answers: the content of a `.cpuprofile` file. Lines and columns count from 0; -1 means none. */
interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  readonly startTime: number;
  readonly endTime: number;
  samples: number[];
  timeDeltas: number[];
}
interface ProfileNode {
  readonly callFrame: {
    functionName: string;
    scriptId: string;
    url: string;
    lineNumber: number;
    columnNumber: number;
  };
  readonly children?: readonly number[];
}

export interface Profile {
  /** Ends the profile: the text of a `.cpuprofile` file, with the tenant's own files and lines. */
  stop(stacks: Stacks): Promise<string>;
}

/**
 * Collects a CPU profile of the isolate, which must have been made with `inspector`, from now on. Over the inspector, because
 * isolated-vm's own profiler starts anew at each entry, which logs all code again: ten milliseconds for each call.
 * V8 samples the thread that it was started on; an isolate that is alone in its runner stays on one.
 */
export function startProfile(isolate: IsolatedVm.Isolate): Profile {
  const session = isolate.createInspectorSession();
  const waiting = new Map<number, (answer: string) => void>();
  session.onResponse = (id, answer) => waiting.get(id)?.(answer);
  session.onNotification = () => undefined;
  let lastId = 0;
  const ask = (method: string, params: object = {}): Promise<string> =>
    new Promise((resolve) => {
      const id = ++lastId;
      waiting.set(id, resolve);
      session.dispatchProtocolMessage(JSON.stringify({ id, method, params }));
    });
  void ask('Profiler.enable');
  void ask('Profiler.setSamplingInterval', { interval: INTERVAL_US });
  void ask('Profiler.start');
  return {
    async stop(stacks) {
      const answer = JSON.parse(await ask('Profiler.stop')) as { result: { profile: CpuProfile } };
      session.dispose();
      return profileText(answer.result.profile, stacks, MAX_CHARS);
    },
  };
}

/** As JSON of at most `maxChars`, as far as fewer samples can make it that short. */
export function profileText(profile: CpuProfile, stacks: Pick<Stacks, 'locate'>, maxChars: number): string {
  const nodes = profile.nodes.map((node) => ({ children: [], ...node, callFrame: locate(node, stacks) }));
  for (let { samples, timeDeltas } = profile; ;) {
    const text = JSON.stringify({ ...profile, nodes, samples, timeDeltas });
    if (text.length <= maxChars || samples.length < 2) return text;
    ({ samples, timeDeltas } = everySecond(samples, timeDeltas));
  }
}

/** The time of a sample that is left out counts for the next. */
function everySecond(
  samples: readonly number[],
  deltas: readonly number[],
): Pick<CpuProfile, 'samples' | 'timeDeltas'> {
  const kept = samples.filter((_, i) => i % 2 === 1);
  return { samples: kept, timeDeltas: kept.map((_, i) => deltas[2 * i]! + deltas[2 * i + 1]!) };
}

function locate({ callFrame }: ProfileNode, stacks: Pick<Stacks, 'locate'>): ProfileNode['callFrame'] {
  if (callFrame.url !== LAMBDA_SCRIPT) return callFrame;
  const at = stacks.locate(callFrame.lineNumber + 1, callFrame.columnNumber + 1);
  return at === undefined
    ? callFrame
    : { ...callFrame, url: at.source, lineNumber: at.line - 1, columnNumber: at.column - 1 };
}
