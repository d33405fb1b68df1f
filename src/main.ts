/** The process that `isolambda` starts: runs the command line, and says by its exit code how it went. */
import { setFlagsFromString } from 'node:v8';
import { runCommandLine } from './cli/command-line.ts';

// One pause in which all requests in flight outlive a collection is enough for V8 to allocate their kind in the old
// generation from then on, where only a full collection ends them, and with them all that they refer to: half of what
// requests used was copied, for up to a third of the host's CPU. What a request uses never grows old here.
setFlagsFromString('--no-allocation-site-pretenuring');

await runCommandLine(process.argv.slice(2));
