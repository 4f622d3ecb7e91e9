import { type WxgateError } from './errors';
import type { SessionCalls } from './session-calls';
import type { Session, Storage, User } from './storage';
/** Number of logouts so far. A call that started before a logout must not log the user in again
 *  after it. */
export type Visit = number;
export interface SessionEnd {
    /** `logout`, or the gateway's code: session_revoked, refresh_invalid, refresh_reused,
     *  token_invalid, … */
    readonly code: string;
    readonly user: User;
}
export interface Account {
    readonly visit: Visit;
    /** Throws `logged_out` when the user logged out after this visit started. */
    check(visit: Visit): void;
    current(): Session | null;
    /** Resolves with a session whose token is valid by the phone's clock: the stored, a refreshed
     *  or a new one. */
    ensure(visit: Visit): Promise<Session>;
    /** Resolves with another session than the one that the gateway refused. */
    replace(refused: Session, error: WxgateError, visit: Visit): Promise<Session>;
    /** Resolves with a new session by wx.login, and so with a new session_key at the gateway. */
    logInAnew(visit: Visit): Promise<Session>;
    /** Asks the gateway about a session's token. Resolves with its refusal; null when there is
     *  none. */
    refusalOf(session: Session): Promise<WxgateError | null>;
    update(user: User): void;
    /** Forgets the session at once and then tells the gateway. Resolves with false when the
     *  gateway could not be reached. */
    logOut(isEverywhere: boolean): Promise<boolean>;
    /** Returns the function that removes the listener. */
    onEnd(listener: (end: SessionEnd) => void): () => void;
}
export interface AccountOptions {
    readonly storage: Storage;
    readonly calls: SessionCalls;
    /** Runs a listener later, so that an error in it does not end this call. */
    readonly defer: (callback: () => void) => void;
    /** Called with each new access token. */
    readonly onToken: (accessToken: string) => void;
}
export declare function createAccount({ storage, calls, defer, onToken }: AccountOptions): Account;
