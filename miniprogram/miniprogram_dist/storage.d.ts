/** The session as it survives the end of the mini-program. */
import type { Wx } from './wx';
export interface User {
    readonly id: string;
    readonly status: 'anonymous' | 'bound';
    /** True once, in the answer to the user's first login. */
    readonly is_new?: boolean;
    /** What the login hook of the gateway adds. */
    readonly [more: string]: unknown;
}
export interface Session {
    readonly accessToken: string;
    readonly refreshToken: string;
    /** By the phone's clock when the answer came, in milliseconds: when it came, from when on the token should be renewed, and
     *  when it ends. That clock may be wrong, but it is the same one that will be asked. */
    readonly receivedAt: number;
    readonly renewAt: number;
    readonly expiresAt: number;
    readonly user: User;
}
export interface Storage {
    /** Null when there is none, or none of this gateway's. */
    read(): Session | null;
    write(session: Session): void;
    clear(): void;
}
export interface StorageOptions {
    readonly wx: Wx;
    readonly key: string;
    /** A session is bound to it: a trial version's tokens are not sent to production. */
    readonly base: string;
    readonly appId: string;
}
/** A storage that fails (full, or damaged) costs a login at the next start, and nothing else. */
export declare function createStorage({ wx, key, base, appId }: StorageOptions): Storage;
