/** The client: wx's own calls with a login behind them, and the gateway's endpoints. */
import { type SessionEnd } from './account';
import { type Auth } from './exchange';
import { type SocketOptions } from './sockets';
import { type User } from './storage';
import { type Task } from './task';
import type { Wx, WxCallbacks, WxDownloadOptions, WxDownloadResult, WxRequestOptions, WxRequestResult, WxSocketTask, WxUploadOptions, WxUploadResult } from './wx';
export interface ClientOptions {
    /** The gateway, such as https://gateway.example.com. Nothing is ever sent anywhere else with a token. */
    baseUrl: string;
    /** Needed where the gateway serves several mini-programs. */
    appid?: string;
    /** Where in wx's storage the session is kept; named after baseUrl unless told. */
    storageKey?: string;
    /** What to use in place of the global `wx`. */
    wx?: Wx;
}
export interface CallOptions {
    /** `required` unless told. */
    auth?: Auth;
}
export interface RequestOptions<Data = unknown> extends WxRequestOptions, WxCallbacks<WxRequestResult<Data>>, CallOptions {
    /** The body carries what wx has encrypted or signed with session_key, for a route with `openData: true`. */
    openData?: boolean;
}
export interface UploadOptions extends WxUploadOptions, WxCallbacks<WxUploadResult>, CallOptions {
}
export interface DownloadOptions extends WxDownloadOptions, WxCallbacks<WxDownloadResult>, CallOptions {
}
/** `event.detail` of `<button open-type="getPhoneNumber">`. */
export interface PhoneDetail {
    readonly code?: string;
    readonly encryptedData?: string;
    readonly iv?: string;
    readonly errMsg?: string;
    readonly errno?: number;
}
export interface Phone {
    readonly phone: {
        readonly masked: string;
        readonly country_code: string;
    };
    readonly user: User;
}
export interface SessionInfo {
    readonly user: User;
    readonly appid: string;
    /** Seconds that the access token has left. */
    readonly expires_in: number;
    readonly session_key: {
        readonly stored: boolean;
        readonly valid?: boolean;
    };
}
export type OpenData = {
    readonly encryptedData: string;
    readonly iv: string;
} | {
    readonly rawData: string;
    readonly signature: string;
};
export interface Client {
    /** wx.request. Resolves with whatever the business service answered; rejects with a WxgateError when the gateway refused,
     *  or when there was no answer. */
    request<Data = unknown>(options: RequestOptions<Data>): Task<WxRequestResult<Data>>;
    /** wx.uploadFile. Never sent twice, but for a token that the gateway refused. */
    uploadFile(options: UploadOptions): Task<WxUploadResult>;
    /** wx.downloadFile. */
    downloadFile(options: DownloadOptions): Task<WxDownloadResult>;
    /** wx.connectSocket; the url may be relative, or begin with wss. */
    connectSocket(options: SocketOptions): WxSocketTask;
    /** Logs in where there is no session yet. With `force`, by a new wx.login in any case. */
    login(options?: {
        force?: boolean;
    }): Promise<User>;
    /** The session is gone from the phone when this returns, online or not. `ended` is false when the gateway could not be told;
     *  its session then ends by itself. The next call that needs a login logs in again. */
    logout(options?: {
        all?: boolean;
    }): Promise<{
        ended: boolean;
    }>;
    /** Binds the number behind a code of getPhoneNumber, or behind the encryptedData of old base libraries. */
    bindPhone(detail: PhoneDetail | string): Promise<Phone>;
    /** Decrypts encryptedData, or checks a signature. Rejects with `session_key_stale` when the data is of no use any more: by
     *  then the user is logged in anew, and the data has to be fetched from wx again. */
    openData<Data = {
        [name: string]: unknown;
    }>(data: OpenData): Promise<{
        data?: Data;
        valid?: boolean;
    }>;
    /** What the gateway knows of this session; `check` also asks WeChat whether session_key is valid. */
    session(options?: {
        check?: boolean;
    }): Promise<SessionInfo>;
    /** The user of the stored session, without asking anybody; null when there is none. */
    currentUser(): User | null;
    /** Tells when a session ended, here or at the gateway. Gives the function that takes the listener away. */
    onSessionEnd(listener: (end: SessionEnd) => void): () => void;
}
export declare function createClient(options: ClientOptions): Client;
