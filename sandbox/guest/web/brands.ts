/**
 * Brand checks of modules that may never be evaluated. A value can only be of such a class once its module ran, and
 * the module leaves its check here when it does; so a Response made from a string evaluates no streams library.
 */
export interface Brands {
  isReadableStream: (value: object) => boolean;
  /** The serialised form of a URLSearchParams; undefined for anything else. */
  serializedSearchParams: (value: object) => string | undefined;
  isBlob: (value: object) => boolean;
  isFormData: (value: object) => boolean;
  isResponse: (value: object) => boolean;
}

export const brands: Brands = {
  isReadableStream: () => false,
  serializedSearchParams: () => undefined,
  isBlob: () => false,
  isFormData: () => false,
  isResponse: () => false,
};
