export type Direction = 'request' | 'response';
export interface Content {
    /** Content-Type; empty for none. */
    readonly type: string;
    readonly body: Uint8Array;
}
export interface Sealing {
    readonly direction: Direction;
    /** The decoded encryptKey. */
    readonly key: Uint8Array;
    readonly version: number;
    /** Milliseconds since the epoch. */
    readonly time: number;
    /** 16 random bytes. */
    readonly nonce: Uint8Array;
    /** A request: method, target, appid and user id. A response: status and nonce of the request. */
    readonly place: readonly string[];
}
export interface Sealed {
    readonly header: string;
    /** Empty for a message without a body. */
    readonly body: Uint8Array;
}
/** @param content Null for a message without a body. */
export declare function sealMessage(sealing: Sealing, content: Content | null): Sealed;
/** `false` for a message that was not sealed with this key for this place. Null for one without a
 *  body. */
export declare function openMessage(direction: Direction, key: Uint8Array, place: readonly string[], { header, body }: Sealed): Content | null | false;
