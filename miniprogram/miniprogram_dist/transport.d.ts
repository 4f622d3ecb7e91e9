/** One wx.request, wx.uploadFile or wx.downloadFile: waits for its place, and reads the gateway's error out of the answer. */
import { type WxgateError } from './errors';
import type { Runtime } from './runtime';
import type { Handle } from './task';
import type { WxDownloadOptions, WxDownloadResult, WxRequestOptions, WxRequestResult, WxUploadOptions, WxUploadResult } from './wx';
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
export interface Answer {
    readonly result: WxRequestResult;
    /** The error, when it is the gateway's and not the business service's. */
    readonly problem: WxgateError | null;
}
export interface Transport {
    /** Rejects with a WxgateError when there was no answer. */
    send(what: Send & {
        /** Goes before those that wait. */
        readonly isUrgent?: boolean;
        readonly handle?: Handle;
        /** Asked when the request leaves, which may be long after it was made. */
        readonly authorize?: () => string | null;
    }): Promise<Answer>;
}
export declare function createTransport(runtime: Runtime): Transport;
