/**
 * `.isolambdaignore`: which files of a folder stay out of its archive. The rules are those of `.gitignore`
 * (https://git-scm.com/docs/gitignore): comments, `!` to take back, a trailing slash for folders only, a slash
 * elsewhere to anchor at the root, `*`, `?`, `[...]` and `**`. Only the file at the folder's root is read.
 */
export interface IgnoreRules {
  /** The last rule that matches decides. Parents are the caller's: what is below an ignored folder is never asked. */
  ignores(path: string, isFolder: boolean): boolean;
}

interface Rule {
  readonly pattern: RegExp;
  readonly takesBack: boolean;
  readonly foldersOnly: boolean;
}

export function parseIgnore(text: string): IgnoreRules {
  const rules = text.split(/\r?\n/).flatMap(parseRule);
  return {
    ignores: (path, isFolder) => {
      const last = rules.findLast((rule) => (isFolder || !rule.foldersOnly) && rule.pattern.test(path));
      return last !== undefined && !last.takesBack;
    },
  };
}

function parseRule(raw: string): Rule[] {
  // A trailing space counts only behind a backslash, as in .gitignore.
  let line = raw.replace(/(?<!\\)[ \t]+$/, '');
  if (line === '' || line.startsWith('#')) return [];
  const takesBack = line.startsWith('!');
  if (takesBack) line = line.slice(1);
  const foldersOnly = line.endsWith('/');
  if (foldersOnly) line = line.slice(0, -1);
  const anchored = line.includes('/');
  if (line.startsWith('/')) line = line.slice(1);
  if (line === '') return [];
  return [
    { pattern: new RegExp(`^${anchored ? '' : '(?:.*/)?'}${translate(line)}$`, 'u'), takesBack, foldersOnly },
  ];
}

/** A glob as the source of a regular expression over a path with `/`. */
function translate(glob: string): string {
  let source = '';
  for (let at = 0; at < glob.length;) {
    const rest = glob.slice(at);
    const [token, regex] = nextToken(rest, at === 0 || glob[at - 1] === '/');
    source += regex;
    at += token.length;
  }
  return source;
}

function nextToken(rest: string, atSegmentStart: boolean): [token: string, regex: string] {
  if (atSegmentStart && rest.startsWith('**/')) return ['**/', '(?:.*/)?'];
  if (atSegmentStart && rest === '**') return ['**', '.+'];
  const stars = /^\*+/.exec(rest);
  if (stars) return [stars[0], '[^/]*'];
  if (rest.startsWith('?')) return ['?', '[^/]'];
  const set = /^\[(!|\^)?((?:\\.|[^\\\]/])+)\]/.exec(rest);
  if (set) {
    const members = (set[2] ?? '').replaceAll(/\\?([^\w\s-])/g, '\\$1');
    return [set[0], `(?!/)[${set[1] ? '^' : ''}${members}]`];
  }
  const escaped = /^\\(.)/u.exec(rest);
  const literal = escaped ? (escaped[1] ?? '') : String.fromCodePoint(rest.codePointAt(0) ?? 0);
  return [escaped ? escaped[0] : literal, literal.replace(/[\\^$.*+?()[\]{}|/]/, '\\$&')];
}
