/** Who is logged in: one session, renewed once however many calls wait for it. */
import { type WxgateError } from './errors';
import type { SessionCalls } from './session-calls';
import type { Session, Storage, User } from './storage';
/** Counts logouts: a call that began before one must not log the user in again after it. */
export type Visit = number;
export interface SessionEnd {
    /** `logout`, or the gateway's code: session_revoked, refresh_invalid, refresh_reused, token_invalid, … */
    readonly code: string;
    readonly user: User;
}
export interface Account {
    readonly visit: Visit;
    current(): Session | null;
    /** A session whose token is good as far as the phone can tell: the stored one, a refreshed one, or a new one. */
    ensure(visit: Visit): Promise<Session>;
    /** A session other than the one whose token the gateway has just refused. */
    replace(refused: Session, error: WxgateError, visit: Visit): Promise<Session>;
    /** A new session by wx.login, and with it a new session_key, however good the present one is. */
    logInAnew(visit: Visit): Promise<Session>;
    update(user: User): void;
    /** Forgets the session at once and then tells the gateway. False when it could not be told. */
    logOut(all: boolean): Promise<boolean>;
    /** Gives the function that takes the listener away. */
    onEnd(listener: (end: SessionEnd) => void): () => void;
}
export interface AccountOptions {
    readonly storage: Storage;
    readonly calls: SessionCalls;
    /** Runs a listener so that what it throws is its own affair. */
    readonly defer: (callback: () => void) => void;
}
export declare function createAccount({ storage, calls, defer }: AccountOptions): Account;
