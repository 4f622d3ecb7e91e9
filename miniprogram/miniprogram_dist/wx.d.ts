/** Types of the part of WeChat's `wx` that the client uses. */
export interface WxFailure {
    readonly errMsg: string;
    readonly errno?: number;
}
export interface WxCallbacks<Result> {
    success?: (result: Result) => void;
    fail?: (error: WxFailure) => void;
    complete?: (result: Result | WxFailure) => void;
}
/** Header names have the server's spelling. */
export interface WxHeaders {
    [name: string]: string;
}
export type WxMethod = 'OPTIONS' | 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE' | 'TRACE' | 'CONNECT';
export interface WxRequestOptions {
    url: string;
    data?: string | object | ArrayBuffer;
    header?: WxHeaders;
    /** Milliseconds. Without it wx takes that of app.json, or 60,000. */
    timeout?: number;
    method?: WxMethod;
    dataType?: string;
    responseType?: string;
    enableHttp2?: boolean;
    enableQuic?: boolean;
    enableCache?: boolean;
    enableChunked?: boolean;
    redirect?: 'follow' | 'manual';
}
export interface WxRequestResult<Data = unknown> {
    data: Data;
    statusCode: number;
    header: WxHeaders;
    cookies?: string[];
    errMsg: string;
}
export interface WxUploadOptions {
    url: string;
    filePath: string;
    name: string;
    header?: WxHeaders;
    formData?: {
        [name: string]: unknown;
    };
    timeout?: number;
}
export interface WxUploadResult {
    /** The body as text. */
    data: string;
    statusCode: number;
    header?: WxHeaders;
    errMsg: string;
}
export interface WxDownloadOptions {
    url: string;
    header?: WxHeaders;
    timeout?: number;
    filePath?: string;
}
export interface WxDownloadResult {
    /** File that holds the body, whatever the status. */
    tempFilePath: string;
    filePath?: string;
    statusCode: number;
    header?: WxHeaders;
    errMsg: string;
}
export interface WxProgress {
    /** Percent. */
    progress: number;
    [more: string]: number;
}
/** A request, an upload or a download under way. The kind and the base library decide which
 *  listeners exist. */
export interface WxTask {
    abort(): void;
    onHeadersReceived?(listener: (result: {
        header: WxHeaders;
        statusCode?: number;
    }) => void): void;
    onChunkReceived?(listener: (result: {
        data: ArrayBuffer;
    }) => void): void;
    onProgressUpdate?(listener: (progress: WxProgress) => void): void;
}
/** Returned at the start of a request, an upload or a download: a task since base library 1.4.0, a
 *  promise with the functions of the task by Taro, a promise of the task by uni-app when an
 *  interceptor waits, and nothing by some wrappers. */
export type WxStarted = WxTask | PromiseLike<unknown> | undefined;
export interface WxSocketOptions {
    url: string;
    header?: WxHeaders;
    protocols?: string[];
    timeout?: number;
    tcpNoDelay?: boolean;
    perMessageDeflate?: boolean;
}
export interface WxSocketClose {
    code: number;
    reason: string;
}
export interface WxSocketTask {
    send(options: {
        data: string | ArrayBuffer;
    } & WxCallbacks<{
        errMsg: string;
    }>): void;
    close(options?: {
        code?: number;
        reason?: string;
    } & WxCallbacks<{
        errMsg: string;
    }>): void;
    onOpen(listener: (result: {
        header: WxHeaders;
    }) => void): void;
    onMessage(listener: (result: {
        data: string | ArrayBuffer;
    }) => void): void;
    onError(listener: (error: WxFailure) => void): void;
    onClose(listener: (result: WxSocketClose) => void): void;
}
export interface WxFileSystem {
    readFile(options: {
        filePath: string;
        encoding: string;
    } & WxCallbacks<{
        data: string | ArrayBuffer;
    }>): void;
}
/** The key that the gateway gets from WeChat too. */
export interface WxUserKey {
    /** base64 */
    encryptKey: string;
    iv: string;
    version: number;
    expireTime: number;
    errMsg: string;
}
export interface WxUserCrypto {
    getLatestUserKey(options: WxCallbacks<WxUserKey>): void;
    getRandomValues(options: {
        length: number;
    } & WxCallbacks<{
        randomValues: ArrayBuffer;
        errMsg: string;
    }>): void;
}
export interface Wx {
    login(options: {
        timeout?: number;
    } & WxCallbacks<{
        code: string;
        errMsg: string;
    }>): void;
    checkSession(options: WxCallbacks<{
        errMsg: string;
    }>): void;
    request(options: WxRequestOptions & WxCallbacks<WxRequestResult>): WxStarted;
    uploadFile(options: WxUploadOptions & WxCallbacks<WxUploadResult>): WxStarted;
    downloadFile(options: WxDownloadOptions & WxCallbacks<WxDownloadResult>): WxStarted;
    /** Taro returns a promise of the task. */
    connectSocket(options: WxSocketOptions & WxCallbacks<{
        errMsg: string;
    }>): WxSocketTask | PromiseLike<WxSocketTask>;
    /** Returns the empty string for a key that was never set. */
    getStorageSync(key: string): unknown;
    setStorageSync(key: string, value: unknown): void;
    removeStorageSync(key: string): void;
    /** Optional: since base library 2.17.3, 2.2.2, 1.9.9, 2.1.2 and 2.1.2. */
    getUserCryptoManager?(): WxUserCrypto;
    getAccountInfoSync?(): {
        miniProgram: {
            appId: string;
        };
    };
    getFileSystemManager?(): WxFileSystem;
    onAppShow?(listener: () => void): void;
    onAppHide?(listener: () => void): void;
    /** Optional: keeps the text with which WeChat's servers ask for pre-fetched data. */
    setBackgroundFetchToken?(options: {
        token: string;
    } & WxCallbacks<{
        errMsg: string;
    }>): void;
}
/** Any object with the functions of `wx`: WeChat's own, Taro, uni, or a stub of a test. Each
 *  declares its own option types, so only the names are checked here. */
export type WxLike = {
    [Name in Exclude<keyof Wx, OptionalName>]: (...given: never[]) => unknown;
} & {
    [Name in OptionalName]?: (...given: never[]) => unknown;
};
type OptionalName = 'getUserCryptoManager' | 'getAccountInfoSync' | 'getFileSystemManager' | 'onAppShow' | 'onAppHide' | 'setBackgroundFetchToken';
export {};
