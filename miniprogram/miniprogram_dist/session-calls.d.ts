/** The gateway's endpoints that begin, renew and end a session, and how often each may be tried. */
import { type WxgateError } from './errors';
import type { User } from './storage';
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
    logIn(): Promise<Grant>;
    refresh(refreshToken: string): Promise<Grant>;
    /** False when the gateway could not be told. */
    logOut(accessToken: string, refreshToken: string, all: boolean): Promise<boolean>;
}
export interface SessionCallsOptions {
    readonly base: string;
    readonly appId: string;
    readonly transport: Transport;
    /** A code of wx.login. */
    readonly getCode: () => Promise<string>;
    readonly whenShown: () => Promise<void>;
}
export declare function createSessionCalls(options: SessionCallsOptions): SessionCalls;
/** The code was used, by a request of ours whose answer was lost, or took too long on the way. */
export declare function isCodeSpent({ code }: WxgateError): boolean;
