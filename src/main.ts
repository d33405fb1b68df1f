/** The process that `isolambda` starts: runs the command line, and says by its exit code how it went. */
import { runCommandLine } from './cli/command-line.ts';

await runCommandLine(process.argv.slice(2));
