import { type Queue } from './queue';
import type { Wx } from './wx';
export interface Runtime {
    readonly wx: Wx;
    readonly requests: Queue;
    /** Resolves with a code of wx.login. Rejects with `login_failed`. */
    login(): Promise<string>;
    /** Resolves with false when WeChat reports that this user's session_key has ended. */
    checkSession(): Promise<boolean>;
    /** Gives WeChat the text for data pre-fetch. Without it, WeChat sends a login code instead. */
    keepPrefetchToken(token: string): void;
    /** Resolves when the mini-program is in the foreground. */
    whenShown(): Promise<void>;
    /** Returns the function that releases the place, or null when no socket is left. */
    takeSocket(): (() => void) | null;
}
export declare function createRuntime(wx: Wx): Runtime;
