/**
 * Any text that may hold URLs, with their passwords masked. Works on URLs that do not parse, because those too end
 * up in error messages: everything from the first colon after the scheme to the last @ goes.
 */
export function maskUrl(text: string): string {
  const masked = text.replaceAll(/(\/\/)([^:@/?#\s]*):(\S*)@/g, '$1$2:****@');
  // The scheme forgotten: user:password@host
  return text.includes('://') ? masked : masked.replaceAll(/([^:@/?#\s]*):(\S*)@/g, '$1:****@');
}
