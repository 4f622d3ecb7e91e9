/** AES-128 in CBC mode with PKCS#7 padding (FIPS 197, SP 800-38A): wx has no cipher. */
export declare function encryptCbc(key: Uint8Array, iv: Uint8Array, plain: Uint8Array): Uint8Array;
/** Null for a length or a padding that encryptCbc does not produce. */
export declare function decryptCbc(key: Uint8Array, iv: Uint8Array, sealed: Uint8Array): Uint8Array | null;
