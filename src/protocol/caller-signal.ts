/**
 * Tells that the caller went away. An AbortSignal is one; the HTTP edge makes a lighter one, since every request pays for it.
 */
export interface CallerSignal {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}
