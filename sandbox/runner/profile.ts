import type IsolatedVm from 'isolated-vm';
import { LAMBDA_SCRIPT } from '../bridge/wire.ts';
import type { Stacks } from './stacks.ts';

const TITLE = 'isolambda';

/**
 * As V8 gives it: the type in isolated-vm's declarations has `lineNubmer`. V8 counts lines and columns from 1, and 0 means
 * none; a `.cpuprofile` counts from 0, and -1 means none.
 */
interface ProfileNode {
  id: number;
  hitCount: number;
  children: number[];
  callFrame: {
    functionName: string;
    url: string;
    scriptId: number | string;
    lineNumber: number;
    columnNumber: number;
    bailoutReason?: string;
  };
}
interface CpuProfile {
  startTime: number;
  endTime: number;
  samples: number[];
  timeDeltas: number[];
  nodes: ProfileNode[];
}

export interface Profile {
  /** Ends the profile: the text of a `.cpuprofile` file, with the tenant's own files and lines. */
  stop(stacks: Stacks): Promise<string>;
}

/** Collects a CPU profile of the isolate, from now on. */
export function startProfile(isolate: IsolatedVm.Isolate): Profile {
  isolate.startCpuProfiler(TITLE);
  return {
    async stop(stacks) {
      const threads = await isolate.stopCpuProfiler(TITLE);
      const profiles: readonly unknown[] = threads.map(({ profile }) => profile);
      return JSON.stringify(merge(profiles as readonly CpuProfile[], stacks));
    },
  };
}

/** An isolate moves between the threads of isolated-vm's pool, and there is a profile of each: one tree is made of them. */
function merge(profiles: readonly CpuProfile[], stacks: Stacks): CpuProfile {
  const root: ProfileNode = {
    id: 1,
    hitCount: 0,
    children: [],
    callFrame: { functionName: '(root)', url: '', scriptId: '0', lineNumber: -1, columnNumber: -1 },
  };
  const merged: CpuProfile = { startTime: Infinity, endTime: 0, samples: [], timeDeltas: [], nodes: [root] };
  let offset = 1;
  const timed: { at: number; node: number }[] = [];
  for (const profile of profiles) {
    merged.startTime = Math.min(merged.startTime, profile.startTime);
    merged.endTime = Math.max(merged.endTime, profile.endTime);
    const isRoot = (node: ProfileNode): boolean => node.callFrame.functionName === '(root)';
    const rootIds = new Set(profile.nodes.filter(isRoot).map((node) => node.id));
    const renumber = (id: number): number => (rootIds.has(id) ? 1 : id + offset);
    let highest = 0;
    for (const node of profile.nodes) {
      highest = Math.max(highest, node.id);
      const children = node.children.map(renumber);
      if (isRoot(node)) root.children.push(...children);
      else merged.nodes.push({ ...node, id: renumber(node.id), children, callFrame: locate(node, stacks) });
    }
    // isolated-vm counts each "delta" from the profile's start; in the file format it is from the sample before.
    profile.samples.forEach((node, i) => {
      timed.push({ at: profile.startTime + (profile.timeDeltas[i] ?? 0), node: renumber(node) });
    });
    offset += highest;
  }
  timed.sort((a, b) => a.at - b.at);
  if (merged.startTime === Infinity) merged.startTime = 0;
  let previous = merged.startTime;
  for (const { at, node } of timed) {
    merged.samples.push(node);
    merged.timeDeltas.push(at - previous);
    previous = at;
  }
  return merged;
}

function locate(node: ProfileNode, stacks: Stacks): ProfileNode['callFrame'] {
  const { scriptId, lineNumber, columnNumber } = node.callFrame;
  const frame = {
    ...node.callFrame,
    scriptId: String(scriptId),
    lineNumber: lineNumber - 1,
    columnNumber: columnNumber - 1,
  };
  const at = frame.url === LAMBDA_SCRIPT ? stacks.locate(lineNumber, columnNumber) : undefined;
  return at === undefined
    ? frame
    : { ...frame, url: at.source, lineNumber: at.line - 1, columnNumber: at.column - 1 };
}
