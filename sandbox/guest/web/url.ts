/** URL and URLSearchParams: whatwg-url, the reference implementation of https://url.spec.whatwg.org. */

import { brands } from './brands.ts';
import './encoding.ts';
import { methodOf, nameClasses } from './webidl.ts';

// That import comes first: the codecs must be evaluated by it, which hides the globals from them.
declare const require: (id: string) => unknown;

export interface UrlLike {
  readonly href: string;
  readonly protocol: string;
  username: string;
  password: string;
  hash: string;
}
export interface SearchParamsLike extends Iterable<[string, string]> {
  append(name: string, value: string): void;
  toString(): string;
}
interface Classes {
  URL: { new (url: string, base?: string): UrlLike; prototype: object };
  URLSearchParams: { new (init?: string): SearchParamsLike; prototype: object };
}
interface Installer {
  install(target: object, globalNames: readonly string[]): void;
}

// The wrapper module rather than the main one, which also evaluates a validator that no web API has.
const library = require('whatwg-url/webidl2js-wrapper.js') as { URL: Installer; URLSearchParams: Installer };
// The library takes its intrinsics from, and puts its classes on, an object that stands for the global one.
const realm = { Array, Object, Promise, String, TypeError };
library.URL.install(realm, ['Window']);
library.URLSearchParams.install(realm, ['Window']);
const classes = realm as object as Classes;
nameClasses({ URL: classes.URL, URLSearchParams: classes.URLSearchParams });

export const URL: Classes['URL'] = classes.URL;
export const URLSearchParams: Classes['URLSearchParams'] = classes.URLSearchParams;

const searchParamsToString = methodOf(URLSearchParams.prototype, 'toString');

// By the library's own brand check: its method throws for anything else.
brands.serializedSearchParams = (value) => {
  try {
    return Reflect.apply(searchParamsToString, value, []) as string;
  } catch {
    return undefined;
  }
};
