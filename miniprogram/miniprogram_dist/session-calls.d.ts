import { type WxgateError } from './errors';
import type { Session, User } from './storage';
import type { Transport } from './transport';
/** Wire format of POST /auth/login and /auth/refresh. */
export interface Grant {
    readonly access_token: string;
    readonly refresh_token: string;
    /** Seconds from now. */
    readonly expires_in: number;
    readonly user?: User;
}
export interface SessionCalls {
    logIn(): Promise<Grant & {
        readonly user: User;
    }>;
    refresh(session: Session): Promise<Grant>;
    /** Resolves with the gateway's error when it refuses this session's access token; null when
     *  it accepts the token or cannot be asked. */
    refusalOf(session: Session): Promise<WxgateError | null>;
    /** Resolves with false when the gateway could not be reached. */
    logOut(session: Session, isEverywhere: boolean): Promise<boolean>;
}
export interface SessionCallsOptions {
    readonly base: string;
    readonly appId: string;
    readonly transport: Transport;
    /** Resolves with a code of wx.login. */
    readonly getCode: () => Promise<string>;
    readonly whenShown: () => Promise<void>;
}
export declare function createSessionCalls(options: SessionCallsOptions): SessionCalls;
/** The code was used by a request whose answer was lost, or is too old. */
export declare function isCodeSpent({ code }: WxgateError): boolean;
