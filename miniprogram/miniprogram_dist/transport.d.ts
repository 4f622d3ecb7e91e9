/** One wx.request, wx.uploadFile or wx.downloadFile: waits for its place, and reads the
 *  gateway's error from the answer. */
import { type WxgateError } from './errors';
import type { Queue } from './queue';
import type { Handle } from './task';
import type { Wx, WxDownloadOptions, WxDownloadResult, WxHeaders, WxProgress, WxRequestOptions, WxRequestResult, WxUploadOptions, WxUploadResult } from './wx';
export type Send = {
    readonly kind: 'request';
    readonly options: WxRequestOptions;
} | {
    readonly kind: 'uploadFile';
    readonly options: WxUploadOptions;
} | {
    readonly kind: 'downloadFile';
    readonly options: WxDownloadOptions;
};
export type WxResult = WxRequestResult | WxUploadResult | WxDownloadResult;
export interface SendOptions {
    /** Precedes the calls that wait. */
    readonly isUrgent?: boolean;
    readonly handle?: Handle;
    /** Returns the access token, or null. Called when the request is sent, which may be long
     *  after `send`. */
    readonly authorize?: () => string | null;
    readonly onProgress?: (progress: WxProgress) => void;
    /** For a route with an encrypted channel; see channel.ts. */
    readonly isSealed?: boolean;
}
export interface Answer {
    readonly result: WxResult;
    /** The gateway's error; null for an answer of the business service. */
    readonly problem: WxgateError | null;
}
export interface Transport {
    /** Rejects with a WxgateError when there was no answer. */
    send(what: Send, options: SendOptions): Promise<Answer>;
}
export declare function createTransport(wx: Wx, requests: Queue): Transport;
/** Replaces any credential that the caller set, in any spelling. */
export declare function withAuthorization(header: WxHeaders | undefined, token: string | null): WxHeaders;
