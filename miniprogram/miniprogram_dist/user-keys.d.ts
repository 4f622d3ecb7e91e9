import type { Wx } from './wx';
export interface UserKey {
    /** 16 bytes. */
    readonly key: Uint8Array;
    readonly version: number;
}
export interface UserKeys {
    /** Rejects with `channel_unavailable`.
     *  @param isFresh Asks wx again. */
    latest(isFresh: boolean): Promise<UserKey>;
    /** Sixteen bytes for a nonce. */
    random(): Promise<Uint8Array>;
}
export declare function createUserKeys(wx: Wx): UserKeys;
