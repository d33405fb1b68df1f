/** What whatwg-url takes from the global TextEncoder and TextDecoder, which a tenant may have replaced. */
export { encodeUtf8 as utf8Encode, decodeUtf8KeepBom as utf8DecodeWithoutBOM } from './encoding.ts';
