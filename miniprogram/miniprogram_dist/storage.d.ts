import type { Wx } from './wx';
export interface User {
    readonly id: string;
    readonly status: 'anonymous' | 'bound';
    /** True once, in the answer to the user's first login. */
    readonly is_new?: boolean;
    /** Members that the gateway's login hook adds. */
    readonly [more: string]: unknown;
}
export interface Session {
    readonly accessToken: string;
    readonly refreshToken: string;
    /** Sent beside the refresh token. Stored, so that a refresh repeated after a restart is a
     *  repeat. */
    readonly attempt: string;
    /** Milliseconds by the phone's clock: the answer's arrival, the time to renew the token, and
     *  its end. A wrong clock is harmless: the same clock is read later. */
    readonly receivedAt: number;
    readonly renewAt: number;
    readonly expiresAt: number;
    readonly user: User;
}
export interface Storage {
    /** Returns null without a session of this gateway and mini-program. */
    read(): Session | null;
    write(session: Session): void;
    clear(): void;
}
export interface StorageOptions {
    readonly wx: Wx;
    readonly key: string;
    /** Binds the session to one gateway: tokens of a trial version are not sent to production. */
    readonly base: string;
    readonly appId: string;
}
/** A full or damaged storage costs a login at the next start, nothing else. */
export declare function createStorage({ wx, key, base, appId }: StorageOptions): Storage;
