/** The one error that leaves the client, and the reading of errors out of responses. */
import type { WxFailure, WxHeaders } from './wx';
/** Codes of the client's own; every other `code` is the gateway's (docs/errors.md of wxgate). */
export type ClientErrorCode = 
/** No answer: whether the request was carried out is not known. */
'network' | 'timeout' | 'aborted'
/** WeChat ended it because the mini-program was in the background. */
 | 'interrupted'
/** wx.login gave no code. */
 | 'login_failed'
/** The user was logged out while the call waited. */
 | 'logged_out'
/** Not under baseUrl: nothing was sent. */
 | 'invalid_url'
/** The gateway's answer makes no sense; something else may be answering in its place. */
 | 'invalid_response' | 'too_many_sockets'
/** getPhoneNumber gave no code: the user refused, or the mini-program may not ask. */
 | 'phone_refused';
export interface WxgateError extends Error {
    readonly name: 'WxgateError';
    readonly code: string;
    /** 0 when there was no answer. */
    readonly status: number;
    readonly action: 'none' | 'refresh' | 'login' | 'retry';
    readonly detail: string;
    /** Names the request in the gateway's log; empty when there was no answer. */
    readonly requestId: string;
    /** Seconds, where the gateway said when to try again. */
    readonly retryAfter?: number;
    /** WeChat's own words about a call that failed, else code and detail. */
    readonly errMsg: string;
    readonly errno?: number;
}
export type ErrorMembers = Partial<Omit<WxgateError, keyof Error>> & {
    code: string;
    detail: string;
};
/** A plain Error with members: a subclass of Error loses its prototype in ECMAScript 5. */
export declare function createError(members: ErrorMembers): WxgateError;
export declare function isWxgateError(value: unknown): value is WxgateError;
/** A wx call that got no answer. */
export declare function fromWxFailure(failure: WxFailure | undefined): WxgateError;
/** The gateway's error in a response; null for every other response, whatever its status: a business service may answer 401
 *  itself, and has then seen the request. */
export declare function readProblem(statusCode: number, data: unknown, header: WxHeaders | undefined): WxgateError | null;
/** Whether a response with these headers holds an error in the gateway's form (RFC 9457). */
export declare function isProblemType(header: WxHeaders | undefined): boolean;
export declare function headerOf(header: WxHeaders | undefined, name: string): string | undefined;
