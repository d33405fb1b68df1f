/** URLPattern: urlpattern-polyfill, by the authors of the standard. It needs a URL class, and finds ours. */

declare const require: (id: string) => unknown;

export const URLPattern = (require('urlpattern-polyfill/urlpattern') as { URLPattern: object }).URLPattern;
