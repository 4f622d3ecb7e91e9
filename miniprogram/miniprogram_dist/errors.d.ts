/** WxgateError: the only error that leaves the client. */
import type { WxFailure } from './wx';
/** Codes of the client itself. Every other `code` is the gateway's: docs/errors.md of wxgate. */
export type ClientErrorCode = 
/** No answer. The request may have been carried out. */
'network' | 'timeout'
/** By abort() of this client only. */
 | 'aborted'
/** WeChat ended the request because the mini-program was in the background. */
 | 'interrupted'
/** wx.login gave no code. */
 | 'login_failed'
/** The user was logged out while the call waited. */
 | 'logged_out'
/** createClient was called without a baseUrl, or without a complete wx. */
 | 'invalid_options'
/** The address is not under baseUrl. Nothing was sent. */
 | 'invalid_url'
/** The answer is not the gateway's: another server may have answered. */
 | 'invalid_response' | 'too_many_sockets'
/** WeChat gave no key for the encrypted channel. */
 | 'channel_unavailable'
/** getPhoneNumber gave no code: the user refused, or the mini-program may not ask. */
 | 'phone_refused';
export interface WxgateError extends Error {
    readonly name: 'WxgateError';
    readonly code: string;
    /** HTTP status; 0 when there was no answer. */
    readonly status: number;
    readonly action: 'none' | 'refresh' | 'login' | 'retry';
    readonly detail: string;
    /** Names the request in the gateway's log; empty when there was no answer. */
    readonly requestId: string;
    /** Seconds to wait, when the gateway sent Retry-After. */
    readonly retryAfter?: number;
    /** errMsg of the wx call that failed, else code and detail. */
    readonly errMsg: string;
    readonly errno?: number;
}
export type ErrorMembers = Partial<Omit<WxgateError, keyof Error>> & {
    code: string;
    detail: string;
};
/** Makes a plain Error with members: in ECMAScript 5 a subclass of Error loses its prototype. */
export declare function createError(members: ErrorMembers): WxgateError;
export declare function isWxgateError(value: unknown): value is WxgateError;
/** Reads the failure of a wx call that got no answer. Its text comes from WeChat, the phone's
 *  system or the network library: "abort" or "interrupt" within a text says nothing about the
 *  caller or the background. */
export declare function fromWxFailure({ errMsg, errno }: WxFailure): WxgateError;
