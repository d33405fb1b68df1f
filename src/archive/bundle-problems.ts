/** What esbuild says, as Problems: the tenant's file, line and column, the rule, and the mend. */
import type { Location, Message } from 'esbuild';
import { ARCHIVE, isTenants, type ArchivePlugin } from './bundle-plugin.ts';
import { error, quote, warning, type Place } from './problem.ts';
import type { Problem } from '../errors/problem.ts';

export function fromMessages(
  errors: readonly Message[],
  warnings: readonly Message[],
  plugin: Pick<ArchivePlugin, 'reasonFor'>,
): Problem[] {
  return [
    ...errors.map((message) => fromError(message, plugin)),
    ...warnings.map(fromWarning).filter((item) => isTenants(item.file)),
  ];
}

function fromError(message: Message, plugin: Pick<ArchivePlugin, 'reasonFor'>): Problem {
  const place = placeOf(message.location);
  const { text } = message;
  if (isProblem(message.detail)) return { ...message.detail, ...place };
  const unresolved = /^Could not resolve "(.*)"$/s.exec(text);
  if (unresolved) {
    const specifier = unescape(unresolved[1] ?? '');
    const reason = plugin.reasonFor(place.file ?? '', specifier);
    return reason
      ? { ...reason, ...place }
      : error('import_missing', text, 'Add the file to the archive.', place);
  }
  if (text.startsWith('Top-level await'))
    return error(
      'top_level_await',
      'await stands outside of a function',
      'Do it in onStart of a UserCtx class, or in main, and keep the promise in a variable.',
      place,
    );
  const noExport = /^No matching export in "(.*)" for import "(.*)"$/s.exec(text);
  if (noExport)
    return error(
      'export_missing',
      `${quote(stripNamespace(noExport[1] ?? ''))} exports no ${quote(noExport[2] ?? '')}`,
      'Export it there, or mend the name.',
      place,
    );
  return error('syntax', stripNamespace(text), 'Mend the code at this place.', place);
}

/** What our plugin gave esbuild to carry. */
const isProblem = (detail: unknown): detail is Problem =>
  typeof detail === 'object' && detail !== null && 'rule' in detail && 'mend' in detail;

function fromWarning(message: Message): Problem {
  const place = placeOf(message.location);
  if (message.id === 'empty-import-meta')
    return warning(
      'import_meta',
      'import.meta is empty in a lambda',
      'Import files of the archive by name; there is no file system at run time.',
      place,
    );
  return warning(
    message.id || 'bundler',
    stripNamespace(message.text),
    message.notes[0]?.text ? stripNamespace(message.notes[0].text) : 'See whether this is meant.',
    place,
  );
}

/** esbuild writes its names into messages as Go does: mostly as JSON does. */
function unescape(text: string): string {
  try {
    return String(JSON.parse(`"${text}"`));
  } catch {
    return text;
  }
}

const stripNamespace = (text: string): string => text.replaceAll(`${ARCHIVE}:`, '');

/** esbuild counts columns from 0, in bytes of UTF-8; editors count from 1, in UTF-16. */
function placeOf(location: Location | null): Place {
  if (!location) return {};
  const before = Buffer.from(location.lineText).subarray(0, location.column).toString();
  return { file: stripNamespace(location.file), line: location.line, column: before.length + 1 };
}
