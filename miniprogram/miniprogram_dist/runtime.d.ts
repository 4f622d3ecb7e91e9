/** What all clients in one mini-program share, because WeChat's limits hold for the mini-program and not for a client. */
import type { Account } from './account';
import { type Queue } from './queue';
import type { Wx } from './wx';
export interface Runtime {
    readonly wx: Wx;
    readonly requests: Queue;
    readonly accounts: {
        [key: string]: Account;
    };
    /** A code of wx.login. Rejects with `login_failed`. */
    login(): Promise<string>;
    /** False when WeChat's session_key of this user has ended. */
    checkSession(): Promise<boolean>;
    /** Resolves when the mini-program is in front, at once when it is already. */
    whenShown(): Promise<void>;
    /** Gives the function that gives the place back; null when no socket is left. */
    takeSocket(): (() => void) | null;
}
export declare function runtimeOf(wx: Wx): Runtime;
