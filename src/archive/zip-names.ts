/** Which names an entry may have. Names are paths below the archive's root, with forward slashes. */
import { error, quote } from './problem.ts';
import type { Problem } from '../errors/problem.ts';

export const MAX_PATH_BYTES = 512;
export const MAX_PATH_DEPTH = 64;
const MAX_SEGMENT_BYTES = 255;

/** Device names of Windows: a copy unpacked there would reach a device. */
const RESERVED = /^(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?$/i;
// eslint would call these control characters a mistake in a literal; they are what is looked for.
const CONTROL = new RegExp(
  '[\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069\\ufeff]',
  'u',
);

/** What macOS and its Finder add to every zip. */
export const isLitter = (name: string): boolean =>
  name.startsWith('__MACOSX/') || name === '.DS_Store' || name.endsWith('/.DS_Store');

/** What is wrong with one name; nothing, when it may be used. */
export function checkName(name: string): Problem[] {
  const refuse = (rule: string, message: string, mend = 'Rename the file, and pack again.'): Problem[] => [
    error(rule, `${quote(name)} ${message}`, mend, { file: name }),
  ];
  const relative = 'Pack from inside the folder, so that names are relative to it.';
  if (name.length === 0 || name === '/') return refuse('zip_name_empty', 'is no name');
  if (name.includes('\0')) return refuse('zip_name_character', 'holds a NUL');
  if (CONTROL.test(name)) return refuse('zip_name_character', 'holds a control character');
  if (/^[a-zA-Z]:/.test(name)) return refuse('zip_absolute', 'begins with a drive letter', relative);
  if (name.includes('\\'))
    return refuse('zip_backslash', 'holds a backslash; names in a zip use forward slashes', relative);
  if (name.startsWith('/')) return refuse('zip_absolute', 'is absolute', relative);
  const segments = (name.endsWith('/') ? name.slice(0, -1) : name).split('/');
  if (segments.includes('..')) return refuse('zip_traversal', 'leads out of the archive', relative);
  if (segments.includes('.') || segments.includes(''))
    return refuse('zip_name_empty', 'has an empty part', relative);
  if (Buffer.byteLength(name) > MAX_PATH_BYTES)
    return refuse('zip_path_too_long', `is longer than ${MAX_PATH_BYTES} bytes`);
  if (segments.some((segment) => Buffer.byteLength(segment) > MAX_SEGMENT_BYTES))
    return refuse('zip_path_too_long', `has a part longer than ${MAX_SEGMENT_BYTES} bytes`);
  if (segments.length > MAX_PATH_DEPTH)
    return refuse('zip_path_too_deep', `is more than ${MAX_PATH_DEPTH} folders deep`);
  if (segments.some((segment) => RESERVED.test(segment)))
    return refuse('zip_name_reserved', 'is a device name on Windows');
  if (segments.some((segment) => /[. ]$/.test(segment) || segment.includes(':')))
    return refuse('zip_name_reserved', 'ends with a dot or space, or holds a colon: Windows would change it');
  return [];
}

/** Same text for names that a case-insensitive or normalising file system takes for one. */
const fold = (name: string): string => name.normalize('NFKC').toUpperCase().toLowerCase().normalize('NFKC');

/** Names that would fall on one another: twice the same, by case, by normal form, or a file where a folder is. */
export function checkCollisions(names: readonly string[]): Problem[] {
  const problems: Problem[] = [];
  const mend = 'Keep one of them.';
  /** Folded path to the path as first seen, and whether an entry or a folder above one. */
  const seen = new Map<string, { name: string; kind: 'file' | 'folder'; entry: boolean }>();
  const told = new Set<string>();
  const tell = (rule: string, message: string, file: string): void => {
    const key = `${rule}\n${file}`;
    if (!told.has(key)) problems.push(error(rule, message, mend, { file }));
    told.add(key);
  };
  const claim = (name: string, kind: 'file' | 'folder', entry: boolean): void => {
    const key = fold(name);
    const other = seen.get(key);
    if (!other) {
      seen.set(key, { name, kind, entry });
      return;
    }
    if (other.name !== name)
      tell(
        'zip_collision',
        `${quote(name)} and ${quote(other.name)} differ only by case or by Unicode form`,
        name,
      );
    else if (other.kind !== kind)
      tell('zip_file_or_folder', `${quote(name)} is both a file and a folder`, name);
    else if (entry && other.entry) tell('zip_duplicate', `${quote(name)} is in the archive twice`, name);
    if (entry) other.entry = true;
  };
  for (const given of names) {
    const isFolder = given.endsWith('/');
    const name = isFolder ? given.slice(0, -1) : given;
    for (let slash = name.indexOf('/'); slash >= 0; slash = name.indexOf('/', slash + 1))
      claim(name.slice(0, slash), 'folder', false);
    claim(name, isFolder ? 'folder' : 'file', true);
  }
  return problems;
}
