/** Bytes and texts: mini-programs have neither TextEncoder nor atob on every phone. */
/** Recognises an ArrayBuffer of another JavaScript context too. */
export declare function isBytes(data: unknown): data is ArrayBuffer;
/** Encodes UTF-8. Half of a surrogate pair becomes U+FFFD. */
export declare function fromText(text: string): Uint8Array;
/** Decodes UTF-8; returns the empty text for bytes that are not UTF-8. */
export declare function toText(bytes: Uint8Array): string;
/** Encodes base64url without padding (RFC 4648, section 5). */
export declare function toBase64Url(bytes: Uint8Array): string;
/** Decodes base64 of either alphabet, with or without padding; null for any other text. */
export declare function fromBase64(text: string): Uint8Array | null;
export declare function concat(parts: readonly Uint8Array[]): Uint8Array;
/** Compares without telling where two texts differ by the time it takes. */
export declare function isEqual(a: Uint8Array, b: Uint8Array): boolean;
