export declare function sha256(message: Uint8Array): Uint8Array;
/** @param key At most 64 bytes. */
export declare function hmacSha256(key: Uint8Array, message: Uint8Array): Uint8Array;
