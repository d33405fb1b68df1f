/**
 * One archive, from bytes to a bundle or a list of all that is wrong: intake, configuration file, validation, bundling.
 * Runs in a builder child for uploads (builder.ts), and in the command's own process for `isolambda validate`.
 */
import { bundle } from './bundle.ts';
import { readConfigFile } from './config-file.ts';
import { readArchive, type ArchiveFiles } from './intake.ts';
import { hasErrors, tidy } from './problem.ts';
import type { BuildRequest, BuildResult } from './types.ts';
import type { Problem } from '../errors/problem.ts';
import { validate } from './validate/validate.ts';

/** Never throws for what is in the archive; throws where esbuild itself breaks down. */
export async function buildArchive(request: BuildRequest): Promise<BuildResult> {
  const intake = readArchive(request.archive, request.limits);
  if (!intake.ok) return { ok: false, problems: tidy(intake.problems) };
  return buildFiles(intake.files, request);
}

/** The same for files that were not packed yet. */
export async function buildFiles(
  files: ArchiveFiles,
  request: Omit<BuildRequest, 'archive'>,
): Promise<BuildResult> {
  const problems: Problem[] = [];
  const { config, problems: configProblems } = readConfigFile(files);
  problems.push(...configProblems);
  const checked = validate(files, request.type, request.handler);
  problems.push(...checked.problems);
  if (checked.main === undefined) return { ok: false, problems: tidy(problems) };
  const made = await bundle({
    files,
    main: checked.main,
    also: checked.also,
    routeParameters: hasErrors(checked.problems) ? undefined : checked.routeParameters,
    bundleBytes: request.limits.bundle_bytes,
  });
  problems.push(...withoutRepeats(made.problems, checked.problems));
  if (hasErrors(problems) || !made.code || !made.map) return { ok: false, problems: tidy(problems) };
  return {
    ok: true,
    bundle: {
      code: made.code,
      map: made.map,
      lambdaConfig: config,
      handler: checked.handler,
      ...(checked.queueName === undefined ? {} : { queueName: checked.queueName }),
    },
    problems: tidy(problems),
  };
}

/** Two parsers read the same files: what the first said of a file's syntax, or of the same place, the second need not say again. */
function withoutRepeats(later: readonly Problem[], earlier: readonly Problem[]): Problem[] {
  const unreadable = new Set(
    earlier
      .filter((item) => item.rule === 'syntax' || item.rule === 'source_too_deep')
      .map((item) => item.file),
  );
  const told = new Set(earlier.map((item) => `${item.rule} ${item.file} ${item.line}`));
  return later.filter(
    (item) =>
      !(item.rule === 'syntax' && unreadable.has(item.file)) &&
      !(item.rule === 'source_too_deep' && unreadable.has(item.file)) &&
      !told.has(`${item.rule} ${item.file} ${item.line}`),
  );
}
