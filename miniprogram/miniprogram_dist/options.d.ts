import { type Urls } from './urls';
import type { Wx, WxLike } from './wx';
export interface ClientOptions {
    /** Address of the gateway, such as https://gateway.example.com. A token is sent nowhere else. */
    baseUrl: string;
    /** Needed when the gateway serves several mini-programs. */
    appid?: string;
    /** Key of the session in wx's storage. The default is made of `baseUrl` and `appid`. */
    storageKey?: string;
    /** Gives WeChat the access token after each login and refresh, for data pre-fetch (数据预拉取). */
    prefetch?: boolean;
    /** Replaces the global `wx`: Taro, uni, or a stub. */
    wx?: WxLike;
}
export interface Settings {
    readonly wx: Wx;
    readonly urls: Urls;
    readonly appId: string;
    readonly storageKey: string;
    readonly isPrefetching: boolean;
}
/** Throws `invalid_options` or `invalid_url`. */
export declare function readOptions(options: Partial<ClientOptions> | undefined, globalWx: unknown): Settings;
