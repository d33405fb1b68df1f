import { Command, CommanderError } from 'commander';
import { accountCommand } from './commands/account.ts';
import { benchCommand } from './commands/bench.ts';
import { deleteCommand } from './commands/delete.ts';
import { deployCommand } from './commands/deploy.ts';
import { doctorCommand } from './commands/doctor.ts';
import { echoClientCommand } from './commands/echo-client.ts';
import { initCommand } from './commands/init.ts';
import { invokeCommand } from './commands/invoke.ts';
import { listCommand } from './commands/list.ts';
import { logsCommand } from './commands/logs.ts';
import { packCommand } from './commands/pack.ts';
import { quickstartCommand } from './commands/quickstart.ts';
import { runCommand } from './commands/run.ts';
import { serveCommand } from './commands/serve.ts';
import { statusCommand } from './commands/status.ts';
import { taskCommand } from './commands/task.ts';
import { tokenCommand } from './commands/token.ts';
import { validateCommand } from './commands/validate.ts';
import { EXIT, exitCodeHelp } from './exit-codes.ts';
import { describeFailure, printFailure } from './failure.ts';
import { examples } from './options.ts';
import { paint } from './terminal.ts';
import { VERSION } from '../config/version.ts';

/** The whole command, with every subcommand. Commander's own exits become errors, so that one place decides the exit code. */
export function createProgram(): Command {
  const program = new Command('isolambda')
    .description('Runs the lambdas of many accounts, each in a V8 isolate inside a jailed process.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', "print a command's help")
    .showSuggestionAfterError()
    .configureHelp({
      styleTitle: (title) => paint('bold', title),
      styleCommandText: (text) => paint('cyan', text),
      styleOptionText: (text) => paint('cyan', text),
    });
  program.commandsGroup('Host:');
  add(program, serveCommand());
  add(program, doctorCommand());
  program.commandsGroup('A lambda on your machine:');
  add(program, initCommand());
  add(program, validateCommand());
  add(program, packCommand());
  program.commandsGroup('A lambda on a queue:');
  add(program, runCommand());
  add(program, echoClientCommand());
  add(program, benchCommand());
  program.commandsGroup('Lambdas on a host:');
  add(program, deployCommand());
  add(program, invokeCommand());
  add(program, listCommand());
  add(program, statusCommand());
  add(program, logsCommand());
  add(program, deleteCommand());
  add(program, taskCommand());
  program.commandsGroup('Who may ask (the operator):');
  add(program, accountCommand());
  add(program, tokenCommand());
  program.addCommand(quickstartCommand(), { hidden: true });
  inherit(program);
  program.addHelpText('after', `\nExit codes:\n${exitCodeHelp()}`);
  return examples(
    program,
    ['isolambda init my-lambda', 'an editable folder'],
    ['isolambda serve', 'a host, with its data in ./data'],
    ['isolambda account create me', 'in another terminal, once'],
    ['isolambda deploy my-lambda', ''],
    ['isolambda invoke my-lambda -d \'{"name": "Ada"}\'', ''],
  );
}

const add = (program: Command, command: Command): void => void program.addCommand(command);

/** `exitOverride` and the look of the help hold for every subcommand, those of `account`, `task` and `token` included. */
function inherit(command: Command): void {
  command.exitOverride();
  for (const sub of command.commands) {
    sub.copyInheritedSettings(command);
    sub.helpOption('-h, --help', 'print this help');
    inherit(sub);
  }
}

const FAILED_GRACE_MS = 2_000;

/** Runs one command. Sets the exit code of the process, and returns when the work is done. */
export async function runCommandLine(args: readonly string[]): Promise<void> {
  // `isolambda list | head -1` closes our output early: that is no error of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.ok.code);
    throw error;
  });
  const json = args.includes('--json');
  const program = createProgram();
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help and version end here too, with code 0; the words are printed already.
      process.exitCode = error.exitCode === 0 ? EXIT.ok.code : EXIT.usage.code;
      if (json && error.exitCode !== 0) printFailure(describeFailure(error), { json, quiet: true });
      return;
    }
    const failure = describeFailure(error);
    printFailure(failure, { json });
    process.exitCode = EXIT[failure.exit].code;
    // Whatever a failed command has left running ends with it; a command that left nothing does not wait.
    setTimeout(() => process.exit(), FAILED_GRACE_MS).unref();
  }
}
